use std::fmt;
use std::sync::Arc;

use crate::intake::Intake;
use crate::{ForwarderBuilder, GrpcReceiver, HttpReceiver, Stats};

/// Receives spans and sends them on: the handle, and what services are made of.
///
/// Clones are the same forwarder: limits and counts are shared by all its services. See the
/// [crate](crate) for what happens to a request.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower::ServiceExt;
/// use towline_forwarder::{Forwarder, Identity};
/// use towline_otlp::{Discard, Exporter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (_processor, exporter) = Exporter::builder().transport(Discard::new()).build()?;
/// let forwarder = Forwarder::builder().exporter(exporter.service()).build();
///
/// // resource_spans { scope_spans { spans {} } }, from somebody whom the server knows.
/// let request = http::Request::post("/v1/traces")
///     .header("content-type", "application/x-protobuf")
///     .extension(Identity::new("alice")?)
///     .body(Full::new(Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0])))?;
/// let response = forwarder.http().oneshot(request).await?;
///
/// assert_eq!(response.status(), 200);
/// assert_eq!(forwarder.stats().spans.forwarded, 1);
/// assert_eq!(exporter.stats().forwarded.exported, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Forwarder {
    intake: Arc<Intake>,
}

// === impl Forwarder ===

impl Forwarder {
    /// A forwarder with the defaults, for whoever is authenticated.
    pub fn builder() -> ForwarderBuilder {
        ForwarderBuilder::new()
    }

    pub(crate) const fn new(intake: Arc<Intake>) -> Self {
        Self { intake }
    }

    /// The service for gRPC.
    #[must_use]
    pub fn grpc(&self) -> GrpcReceiver {
        GrpcReceiver::new(Arc::clone(&self.intake))
    }

    /// The service for HTTP.
    #[must_use]
    pub fn http(&self) -> HttpReceiver {
        HttpReceiver::new(Arc::clone(&self.intake))
    }

    /// What has become of requests and spans by now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.intake.stats()
    }

    /// Memory held for requests now, in bytes: never more than
    /// [`Limits::max_held_bytes`](crate::Limits::max_held_bytes).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.intake.senders.held_bytes()
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("exporter", &self.intake.exporter.is_some())
            .field("limits", &self.intake.limits)
            .field("stats", &self.stats())
            .finish()
    }
}
