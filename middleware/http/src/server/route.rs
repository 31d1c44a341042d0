use std::sync::{Arc, OnceLock};

/// Where a router that runs *inside* the traced service leaves the route it has found.
///
/// With [`TraceLayer::with_deferred_route`](super::TraceLayer::with_deferred_route) every recorded
/// request has one in its extensions. Whoever knows the route calls [`set`](Self::set); the span is
/// renamed when it ends.
#[derive(Clone, Debug, Default)]
pub struct DeferredRoute(Arc<OnceLock<Arc<str>>>);

impl DeferredRoute {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Names the route, as a template such as `/users/{id}`, never the path itself. The first call
    /// counts.
    pub fn set(&self, route: &str) {
        let _ = self.0.set(Arc::from(route));
    }

    pub(super) fn get(&self) -> Option<Arc<str>> {
        self.0.get().cloned()
    }
}
