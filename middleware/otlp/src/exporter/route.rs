use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tower_layer::Layer;

use super::health::Health;
use crate::policy::{
    Backoff, Closing, Observe, Observer, Retry, RetryLayer, Split, SplitLayer, Timeout,
    TimeoutLayer,
};
use crate::{BoxTransport, ClientOptions, Endpoint, Scheme, TransportError};

/// A transport with everything around it: pieces of a batch, each with its retries, each attempt
/// observed and with its time.
pub(super) type Stack = Split<Retry<Observe<Timeout<BoxTransport>>>>;

/// A transport, and how large its messages may be.
#[derive(Clone, Debug)]
pub(super) struct Route {
    transport: BoxTransport,
    /// Above it only single spans are tried.
    assumed_max_bytes: Option<usize>,
    #[cfg(feature = "metrics")]
    component: &'static str,
}

/// What is put around a transport.
#[derive(Clone)]
pub(super) struct Policies {
    pub(super) attempt_timeout: Duration,
    pub(super) backoff: Backoff,
    /// Of a message, as configured.
    pub(super) max_bytes: Option<usize>,
    pub(super) health: Arc<Health>,
    pub(super) closing: watch::Receiver<Option<Closing>>,
}

// === impl Route ===

impl Route {
    /// A transport of which nothing is known.
    pub(super) const fn new(transport: BoxTransport) -> Self {
        Self {
            transport,
            assumed_max_bytes: None,
            #[cfg(feature = "metrics")]
            component: Self::COMPONENT,
        }
    }

    /// The transport for an endpoint.
    pub(super) fn connect(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<Self, TransportError> {
        let transport = BoxTransport::connect_with(endpoint, options)?;
        let assumed_max_bytes = match endpoint.scheme() {
            Scheme::Grpc | Scheme::Grpcs | Scheme::Unix => Some(GRPC_MAX_BYTES),
            _ => None,
        };
        Ok(Self {
            transport,
            assumed_max_bytes,
            #[cfg(feature = "metrics")]
            component: match endpoint.scheme() {
                Scheme::Grpc | Scheme::Grpcs | Scheme::Unix => "otlp_grpc_span_exporter",
                Scheme::Http | Scheme::Https => "otlp_http_span_exporter",
                _ => Self::COMPONENT,
            },
        })
    }

    /// What an exporter is called in metrics for which the conventions have no name.
    #[cfg(feature = "metrics")]
    pub(super) const COMPONENT: &'static str = "towline_span_exporter";

    #[cfg(feature = "metrics")]
    pub(super) const fn component(&self) -> &'static str {
        self.component
    }
}

// === impl Policies ===

impl Policies {
    pub(super) fn stack(&self, route: Route) -> Stack {
        let health = Arc::clone(&self.health);
        let observer: Observer = Arc::new(move |result| health.observe(result));
        let timeout = match route.transport.peer() {
            Some(peer) => TimeoutLayer::new(self.attempt_timeout).peer(peer),
            None => TimeoutLayer::new(self.attempt_timeout),
        };
        let attempts = Observe::new(timeout.layer(route.transport), observer);
        let retries = RetryLayer::new(self.backoff)
            .closing(self.closing.clone())
            .layer(attempts);
        let split = match (self.max_bytes, route.assumed_max_bytes) {
            (Some(bytes), _) => SplitLayer::new().max_bytes(bytes),
            (None, Some(bytes)) => SplitLayer::new().assume(bytes),
            (None, None) => SplitLayer::new(),
        };
        split.layer(retries)
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").finish_non_exhaustive()
    }
}

/// What servers for gRPC take by default, each on its own: tonic, grpc-go, gRPC's core and grpc-java.
const GRPC_MAX_BYTES: usize = 4 * 1024 * 1024;
