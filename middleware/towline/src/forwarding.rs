use towline_forwarder::{Forwarder, ForwarderBuilder};

use crate::Towline;

#[cfg_attr(docsrs, doc(cfg(feature = "forwarder")))]
impl Towline {
    /// A forwarder to where this program's own spans go: it takes spans over OTLP from those who cannot reach the backend,
    /// asks who they are, writes that onto every span and sends them on. See [`forwarder`](crate::forwarder).
    ///
    /// Where nothing is exported from here (tracing is off, or the provider was brought along) it acknowledges spans and
    /// throws them away, as Teleport does; the log has one INFO about it. [`Control::set_enabled`](crate::Control::set_enabled)
    /// is about what this program records, and forwarding goes on. After [`shutdown`](Self::shutdown) clients are told that
    /// the service is not available. [`Stats::forwarded`](crate::Stats::forwarded) counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::Router;
    /// use towline::Towline;
    /// use towline::forwarder::{BearerTokens, Identity};
    /// use towline::otlp::Discard;
    ///
    /// let tracing = Towline::builder().with_transport(Discard::new()).build()?;
    /// let tokens = BearerTokens::new().token("c0ffee", Identity::new("build-agent")?);
    /// let forwarder = tracing.forwarder().authorize(tokens).build();
    ///
    /// let app: Router = Router::new()
    ///     .route_service("/v1/traces", forwarder.http())
    ///     .layer(tracing.http_server());
    /// # let _ = app;
    /// # tracing.blocking_shutdown(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forwarder(&self) -> ForwarderBuilder {
        let forwarder = Forwarder::builder();
        match self.exporter() {
            Some(exporter) => forwarder.exporter(exporter.service()),
            None => forwarder,
        }
    }
}
