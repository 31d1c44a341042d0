//! Requests that get no span: health checks, metrics, what else asks every second and says nothing.
//!
//! A [`Filter`] says which requests are meant, [`Filters`] is the set of a layer and can be
//! [replaced](Filters::set) while it serves. A request that is skipped is passed through with the
//! caller's context current, as by a layer that is switched off: no span, no sampling decision, no
//! cost beyond the check, and no trace that is cut.
//!
//! # Examples
//!
//! ```
//! use http::{Method, Request};
//! use http_body_util::Empty;
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tower::{Service, ServiceBuilder, service_fn};
//! use towline_http::server::TraceLayer;
//! use towline_http::{Filter, Filters};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let exporter = InMemorySpanExporter::default();
//! # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let skipped = Filters::new([
//!     Filter::path("/healthz"),
//!     Filter::path_prefix("/metrics").with_method(Method::GET),
//!     Filter::new(|request| request.headers.contains_key("x-synthetic")),
//! ]);
//! let layer = TraceLayer::new(provider.tracer("users")).with_filters(skipped.clone());
//! # let mut service = ServiceBuilder::new().layer(layer).service(service_fn(|_request: Request<()>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(Empty::<&'static [u8]>::new()))
//! # }));
//! for path in ["/healthz", "/metrics/jvm", "/users"] {
//!     service.call(Request::get(path).body(())?).await?;
//! }
//! assert_eq!(exporter.get_finished_spans()?.len(), 1);
//!
//! // The health check fails, and somebody wants to see it.
//! skipped.set([]);
//! service.call(Request::get("/healthz").body(())?).await?;
//! assert_eq!(exporter.get_finished_spans()?.len(), 2);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use http::Method;

use crate::head::RequestHead;

/// Which requests are skipped. See the [module documentation](self).
#[derive(Clone)]
pub struct Filter {
    method: Option<Method>,
    rule: Rule,
}

#[derive(Clone)]
enum Rule {
    Path(Box<str>),
    PathPrefix(Box<str>),
    By(Arc<dyn Fn(RequestHead<'_>) -> bool + Send + Sync>),
}

/// The filters of a layer, or of several: clones share them, and a change counts from the next request
/// on. None at first, which costs a load.
///
/// A request is skipped if any of them matches.
#[derive(Clone, Default)]
pub struct Filters(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether there are any, so that nobody takes the lock where there are none.
    any: AtomicBool,
    filters: RwLock<Arc<[Filter]>>,
    observer: RwLock<Option<Observer>>,
}

type Observer = Arc<dyn Fn(&[Filter]) + Send + Sync>;

// === impl Filter ===

impl Filter {
    /// Requests for exactly this path, without the query.
    #[must_use]
    pub fn path(path: impl Into<String>) -> Self {
        Self::of(Rule::Path(path.into().into()))
    }

    /// Requests for this path and whatever is below it: `/metrics` means `/metrics` and `/metrics/jvm`
    /// but not `/metrics2`. A slash at its end makes no difference; `/` means every path.
    #[must_use]
    pub fn path_prefix(prefix: impl Into<String>) -> Self {
        let mut prefix = prefix.into();
        prefix.truncate(prefix.trim_end_matches('/').len());
        Self::of(Rule::PathPrefix(prefix.into()))
    }

    /// Requests with this method, whatever their path.
    #[must_use]
    pub fn method(method: Method) -> Self {
        Self::path_prefix("/").with_method(method)
    }

    /// Requests of which this function says so. It is called for every request, before anything else
    /// is known of it.
    #[must_use]
    pub fn new(matches: impl Fn(RequestHead<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Rule::By(Arc::new(matches)))
    }

    /// Only those of them with this method.
    #[must_use]
    pub fn with_method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    const fn of(rule: Rule) -> Self {
        Self { method: None, rule }
    }

    /// Whether it means this request.
    #[must_use]
    pub fn matches(&self, request: RequestHead<'_>) -> bool {
        if self
            .method
            .as_ref()
            .is_some_and(|method| method != request.method)
        {
            return false;
        }
        let path = request.uri.path();
        match &self.rule {
            Rule::Path(expected) => path == &**expected,
            Rule::PathPrefix(prefix) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/')),
            Rule::By(matches) => matches(request),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Filter");
        if let Some(method) = &self.method {
            debug.field("method", method);
        }
        match &self.rule {
            Rule::Path(path) => debug.field("path", path).finish(),
            Rule::PathPrefix(prefix) => debug.field("path_prefix", prefix).finish(),
            Rule::By(_) => debug.finish_non_exhaustive(),
        }
    }
}

// === impl Filters ===

impl Filters {
    /// A set of filters.
    #[must_use]
    pub fn new(filters: impl IntoIterator<Item = Filter>) -> Self {
        let set = Self::default();
        set.set(filters);
        set
    }

    /// Replaces the whole set.
    pub fn set(&self, filters: impl IntoIterator<Item = Filter>) {
        let filters: Arc<[Filter]> = filters.into_iter().collect();
        let any = !filters.is_empty();
        {
            let shared = &*self.0;
            let mut current = shared
                .filters
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            current.clone_from(&filters);
            // Under the lock, so that of two changes the mark and the set are from the same one.
            shared.any.store(any, Ordering::Release);
        }
        // Not under the lock: it may change something itself.
        let observer = self.0.observer.read();
        let observer = observer.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(observer) = observer {
            observer(&filters);
        }
    }

    /// The set in force.
    #[must_use]
    pub fn get(&self) -> Vec<Filter> {
        self.current().to_vec()
    }

    /// Whether there are none, so that nothing is skipped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.0.any.load(Ordering::Acquire)
    }

    /// Whether a request is skipped.
    #[must_use]
    pub fn skips(&self, request: RequestHead<'_>) -> bool {
        // The functions of a user run outside of the lock.
        !self.is_empty() && self.current().iter().any(|filter| filter.matches(request))
    }

    /// Has this function called with every new set, in place of the function before: on the thread that
    /// sets it and once it is in force.
    pub fn on_change(&self, observer: impl Fn(&[Filter]) + Send + Sync + 'static) {
        let current = self.0.observer.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(observer));
    }

    fn current(&self) -> Arc<[Filter]> {
        let filters = self.0.filters.read();
        Arc::clone(&filters.unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current().iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn matches(filter: &Filter, method: &str, target: &str) -> bool {
        let request = Request::builder().method(method).uri(target);
        filter.matches(RequestHead::from(&request.body(()).unwrap()))
    }

    #[test]
    fn paths_match_exactly_or_by_whole_segments() {
        for (filter, target, expected) in [
            (Filter::path("/healthz"), "/healthz", true),
            (Filter::path("/healthz"), "/healthz?verbose", true),
            (Filter::path("/healthz"), "http://host/healthz", true),
            (Filter::path("/healthz"), "/healthz/", false),
            (Filter::path("/healthz"), "/health", false),
            (Filter::path_prefix("/metrics"), "/metrics", true),
            (Filter::path_prefix("/metrics"), "/metrics/", true),
            (Filter::path_prefix("/metrics/"), "/metrics", true),
            (Filter::path_prefix("/metrics"), "/metrics/jvm?a", true),
            (Filter::path_prefix("/metrics"), "/metrics2", false),
            (Filter::path_prefix("/metrics"), "/a/metrics", false),
            (Filter::path_prefix("/"), "/anything", true),
            (Filter::path_prefix(""), "*", true),
        ] {
            assert_eq!(
                matches(&filter, "GET", target),
                expected,
                "{filter:?} {target}"
            );
        }
    }

    #[test]
    fn a_method_narrows_every_rule() {
        for (filter, method, expected) in [
            (Filter::method(Method::OPTIONS), "OPTIONS", true),
            (Filter::method(Method::OPTIONS), "GET", false),
            (Filter::path("/a").with_method(Method::GET), "GET", true),
            (Filter::path("/a").with_method(Method::GET), "POST", false),
            (
                Filter::new(|_| true).with_method(Method::GET),
                "POST",
                false,
            ),
            (Filter::new(|_| true), "POST", true),
            (
                Filter::new(|head| head.method == Method::PUT),
                "POST",
                false,
            ),
        ] {
            assert_eq!(
                matches(&filter, method, "/a"),
                expected,
                "{filter:?} {method}"
            );
        }
    }

    #[test]
    fn a_set_is_shared_and_replaced_as_a_whole() {
        let filters = Filters::default();
        let clone = filters.clone();
        let (told, tell) = std::sync::mpsc::channel();
        filters.on_change(|_| panic!("it is replaced"));
        clone.on_change(move |filters| told.send(filters.len()).unwrap());
        let request = Request::get("/b").body(()).unwrap();
        let head = RequestHead::from(&request);
        assert!(!clone.skips(head));
        filters.set([Filter::path("/a"), Filter::path("/b")]);
        assert!(clone.skips(head));
        assert_eq!(clone.get().len(), 2);
        filters.set([Filter::path("/a")]);
        assert!(!clone.skips(head));
        filters.set([]);
        assert!(!clone.skips(head));
        assert_eq!(tell.try_iter().collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn a_filter_may_change_the_set_that_it_is_in() {
        let filters = Filters::default();
        let own = filters.clone();
        filters.set([Filter::new(move |_| {
            own.set([]);
            true
        })]);
        let request = Request::get("/").body(()).unwrap();
        assert!(filters.skips(RequestHead::from(&request)));
        assert!(filters.get().is_empty());
    }
}
