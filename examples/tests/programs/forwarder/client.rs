//! Who sends spans to the forwarder: any exporter's service, and HTTP by hand.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tower::ServiceExt;
use towline::otlp::policy::Backoff;
use towline::otlp::{Batch, ClientOptions, ExportError, Exporter, Receipt};

/// The attribute that says who has sent a span.
pub(crate) const FORWARDED_FOR: &str = "teleport.forwarded.for";

/// A client of the forwarder, with the means of Towline's exporter. It never sends twice.
pub(crate) struct Sender {
    exporter: Exporter,
}

// === impl Sender ===

impl Sender {
    pub(crate) fn new(url: &str, token: Option<&str>) -> Self {
        let mut options = ClientOptions::new();
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
            options = options.header(http::header::AUTHORIZATION, value);
        }
        Self::with(url, options)
    }

    pub(crate) fn with(url: &str, options: ClientOptions) -> Self {
        let (_, exporter) = Exporter::builder()
            .url(url)
            .client(options)
            .backoff(Backoff::new().max_elapsed(std::time::Duration::ZERO))
            .build()
            .unwrap();
        Self { exporter }
    }

    pub(crate) async fn send(
        &self,
        request: &ExportTraceServiceRequest,
    ) -> Result<Receipt, ExportError> {
        let batch = Batch::parse(request.encode_to_vec()).unwrap();
        self.exporter.service().oneshot(batch).await
    }
}

/// Posts a body by HTTP/1.
pub(crate) async fn post(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::post(format!("{url}/v1/traces"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// A request of plain spans with these ids.
pub(crate) fn spans(ids: impl IntoIterator<Item = u64>) -> ExportTraceServiceRequest {
    let spans = ids.into_iter().map(|id| Span {
        trace_id: vec![7; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: format!("span {id}"),
        ..Span::default()
    });
    request(Resource::default(), spans.collect())
}

/// A request in which somebody says that it is from somebody else, wherever one can.
pub(crate) fn forged() -> ExportTraceServiceRequest {
    let forgery = || vec![text(FORWARDED_FOR, "root"), text("own", "kept")];
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: "forged".to_owned(),
        attributes: forgery(),
        ..Span::default()
    };
    let resource = Resource {
        attributes: forgery(),
        ..Resource::default()
    };
    request(resource, vec![span])
}

fn request(resource: Resource, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// The attributes of every resource and of every span of a request, each list as `key=value`.
pub(crate) fn attributes(
    request: &ExportTraceServiceRequest,
) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let of_resources = request.resource_spans.iter().map(|of_resource| {
        let resource = of_resource.resource.as_ref();
        shown(resource.map_or(&[][..], |resource| &resource.attributes))
    });
    let spans = request
        .resource_spans
        .iter()
        .flat_map(|of_resource| &of_resource.scope_spans)
        .flat_map(|of_scope| &of_scope.spans);
    let of_spans = spans.map(|span| shown(&span.attributes));
    (of_resources.collect(), of_spans.collect())
}

fn shown(attributes: &[KeyValue]) -> Vec<String> {
    let shown = attributes.iter().map(|attribute| {
        let value = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref());
        match value {
            Some(Value::StringValue(value)) => format!("{}={value}", attribute.key),
            other => format!("{}={other:?}", attribute.key),
        }
    });
    shown.collect()
}

/// The value of a header, as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}
