use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use tower_layer::Layer;
use towline_http::{Begin, Record, ResponseHead, Rest, Trace};
use towline_span::{OpenSpan, Outcome};

/// One layer for a port, or a proxy, that carries both gRPC and other HTTP.
///
/// A request whose `content-type` is `application/grpc`, or `application/grpc+…`, goes to the gRPC
/// layer, every other to the HTTP layer. gRPC-Web is an HTTP request with a body like any other, and
/// is traced as one.
///
/// # Examples
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use towline_grpc::ByContentType;
///
/// let tracer = SdkTracerProvider::builder().build().tracer("gateway");
/// let layer = ByContentType::new(
///     towline_http::server::TraceLayer::new(tracer.clone()),
///     towline_grpc::server::TraceLayer::new(tracer),
/// );
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByContentType<H, G> {
    http: H,
    grpc: G,
}

/// Records an exchange as one protocol or the other.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it is one protocol or the other")]
pub enum Either<H, G> {
    /// HTTP.
    Http(H),
    /// gRPC.
    Grpc(G),
}

impl<H, G> ByContentType<H, G> {
    /// A layer that chooses between these two, both of the same side.
    pub const fn new(http: H, grpc: G) -> Self {
        Self { http, grpc }
    }
}

impl<H: Begin, G: Begin> Begin for ByContentType<H, G> {
    type Record = Either<H::Record, G::Record>;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<(OpenSpan, Self::Record)> {
        if is_grpc(request.headers()) {
            let (span, record) = self.grpc.begin(request)?;
            Some((span, Either::Grpc(record)))
        } else {
            let (span, record) = self.http.begin(request)?;
            Some((span, Either::Http(record)))
        }
    }
}

impl<S, H: Clone, G: Clone> Layer<S> for ByContentType<H, G> {
    type Service = Trace<S, Self>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace::new(inner, self.clone())
    }
}

impl<H: Record, G: Record> Record for Either<H, G> {
    fn head(&mut self, head: ResponseHead<'_>) -> Rest {
        match self {
            Self::Http(record) => record.head(head),
            Self::Grpc(record) => record.head(head),
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        match self {
            Self::Http(record) => record.trailers(trailers),
            Self::Grpc(record) => record.trailers(trailers),
        }
    }

    fn error<E: 'static>(&mut self, error: &E) {
        match self {
            Self::Http(record) => record.error(error),
            Self::Grpc(record) => record.error(error),
        }
    }

    fn end(&mut self, outcome: Outcome, span: &mut OpenSpan) {
        match self {
            Self::Http(record) => record.end(outcome, span),
            Self::Grpc(record) => record.end(outcome, span),
        }
    }
}

/// Whether the content type is gRPC's; its media types are compared without regard to case.
fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let Some((start, rest)) = value.as_bytes().split_at_checked(GRPC.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_grpc_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC;charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcx", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is_grpc(&headers), expected, "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
