use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};

use http::uri::PathAndQuery;
use tower_service::Service;
use towline_otlp::{Batch, BoxTransport, ExportError, Receipt};

use crate::authorize::{AnyAuthenticated, Authorize};
use crate::intake::{self, Intake};
use crate::limits::{Limits, Rates, Senders};
use crate::notices::Notices;
use crate::stamp::FORWARDED_FOR;
use crate::stats::Ledger;
use crate::{Forwarder, Place, grpc};

/// Makes a [`Forwarder`]. From [`Forwarder::builder`].
#[must_use = "a builder makes nothing until `build` is called"]
pub struct ForwarderBuilder {
    exporter: Option<BoxTransport>,
    authorize: Box<dyn Authorize>,
    on_refusal: OnRefusal,
    key: Cow<'static, str>,
    place: Place,
    limits: Limits,
    export_span: Cow<'static, str>,
}

/// What happens with the spans of a sender that [`Authorize`] refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnRefusal {
    /// The sender is told so: UNAUTHENTICATED or PERMISSION_DENIED, 401 or 403.
    #[default]
    Reject,
    /// The sender is told that all is well, and the spans are thrown away unread: RFD 65's softer
    /// choice, for tools that would bother their users with the error.
    Discard,
}

// === impl ForwarderBuilder ===

impl ForwarderBuilder {
    pub(crate) fn new() -> Self {
        Self {
            exporter: None,
            authorize: Box::new(AnyAuthenticated),
            on_refusal: OnRefusal::default(),
            key: Cow::Borrowed(FORWARDED_FOR),
            place: Place::default(),
            limits: Limits::default(),
            export_span: Cow::Borrowed(grpc::EXPORT_SPAN),
        }
    }

    /// Where the spans go: [`Exporter::service`](towline_otlp::Exporter::service), or any transport,
    /// with layers around it or without.
    ///
    /// Without one, everything is acknowledged and thrown away, as Teleport does while its tracing is
    /// off. The log says so once, and [`SpanStats::discarded`](crate::SpanStats::discarded) counts.
    pub fn exporter<S>(mut self, exporter: S) -> Self
    where
        S: Service<Batch, Response = Receipt, Error = ExportError> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        self.exporter = Some(BoxTransport::new(exporter));
        self
    }

    /// Who may send spans, and as whom. Default: [`AnyAuthenticated`].
    pub fn authorize(mut self, authorize: impl Authorize) -> Self {
        self.authorize = Box::new(authorize);
        self
    }

    /// What those are told who may not. Default: [`OnRefusal::Reject`].
    pub fn on_refusal(mut self, on_refusal: OnRefusal) -> Self {
        self.on_refusal = on_refusal;
        self
    }

    /// The attribute that says who sent a span. Default: [`FORWARDED_FOR`].
    pub fn key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.key = key.into();
        self
    }

    /// Where that attribute is written. Default: on every resource and every span.
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// What a client can cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The gRPC method of RFD 65. Default: `/proto.AuthService/ExportSpan`.
    pub fn export_span(mut self, method: &PathAndQuery) -> Self {
        self.export_span = Cow::Owned(method.path().to_owned());
        self
    }

    /// Makes it.
    #[must_use]
    pub fn build(self) -> Forwarder {
        if self.exporter.is_none() {
            tracing::info!(
                "the span forwarder has no exporter: spans are acknowledged and thrown away"
            );
        }
        let limits = self.limits;
        Forwarder::new(Arc::new(Intake {
            authorize: self.authorize,
            on_refusal: self.on_refusal,
            exporter: self.exporter.map(Mutex::new),
            key: self.key,
            place: self.place,
            senders: Senders::new(limits.max_requests, limits.max_held_bytes),
            workers: intake::workers(),
            rates: limits.rate.map(|(rate, burst)| Rates::new(rate, burst)),
            limits,
            notices: Notices::new(),
            ledger: Ledger::default(),
            methods: [Cow::Borrowed(grpc::EXPORT), self.export_span],
        }))
    }
}

impl fmt::Debug for ForwarderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwarderBuilder")
            .field("exporter", &self.exporter.is_some())
            .field("on_refusal", &self.on_refusal)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
