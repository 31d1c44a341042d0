//! No secret that a request, a response or an error carries is in any byte that is exported, whatever is
//! asked for short of the one option that says so.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::io::{self, Write};
use std::net::TcpListener;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanLimits};
use tower::{Service, ServiceExt, service_fn};
use towline_http::client::reqwest::HttpClient;
use towline_http::server::TrustedProxies;
use towline_http::{Begin, PeerAddr, Trace};
use towline_otlp::{Batch, Console, Exporter, File, FileFormat, Receipt};
use towline_sampler::{Control, Rate, Sampler};
use towline_span::Spans;
use towline_test_support::transport::MemoryTransport;
use towline_test_support::{BodyStep, Probe, ScriptedBody};

type AnyBody = UnsyncBoxBody<Bytes, BoxError>;
type BoxError = Box<dyn Error + Send + Sync>;

/// What a user has asked for.
#[derive(Clone, Copy, Debug)]
struct Setting {
    /// Every header that there is, on the way there and back.
    listed: bool,
    /// One more query key, which is in use then.
    more_keys: bool,
    hooks: bool,
    proxies: bool,
    /// Without the sampler everything is described at the start.
    sampler: bool,
    /// With the sampler, spans are recorded past the SDK.
    recorder: bool,
    unredacted: bool,
}

/// How an exchange goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Answered,
    Refused,
    Fails,
    FailsInBody,
    Dropped,
}

/// Every layer there is.
#[derive(Clone, Copy, Debug)]
enum Role {
    HttpServer,
    HttpClient,
    GrpcServer,
    GrpcClient,
}

/// Stands in every secret.
const SECRET: &str = "s3cr3t";

/// The same, as binary metadata has it.
const BINARY: &str = "czNjcjN0";

/// Names whose values are secret.
const CREDENTIALS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-amz-security-token",
    "www-authenticate",
];

/// Names whose values have a URL with secrets in it.
const URLS: &[&str] = &["referer", "location", "x-original-url", "x-forwarded-uri"];

/// Its values are marked as sensitive.
const MARKED: &str = "x-marked";

/// Its values are binary; in gRPC alone.
const BIN: &str = "x-thing-bin";

impl Setting {
    /// Every one that keeps secrets.
    fn all() -> impl Iterator<Item = Self> {
        (0..64).map(|bits: u8| Self {
            listed: bits & 1 != 0,
            more_keys: bits & 2 != 0,
            hooks: bits & 4 != 0,
            proxies: bits & 8 != 0,
            sampler: bits & 16 != 0,
            recorder: bits & 32 != 0,
            unredacted: false,
        })
    }

    /// A query with secrets in it that are known for such.
    fn query(self) -> String {
        let more = if self.more_keys {
            format!("&token={SECRET}")
        } else {
            String::new()
        };
        format!("sig={SECRET}&q=1&X-Amz-Signature={SECRET}&s%69g={SECRET}{more}")
    }

    fn url(self) -> String {
        let query = self.query();
        format!("http://me:{SECRET}@users.example/users?{query}&next=http://{SECRET}@a/")
    }

    fn names(self) -> Vec<HeaderName> {
        let all = CREDENTIALS.iter().chain(URLS).chain([&MARKED, &BIN]);
        all.filter(|_| self.listed)
            .map(|name| HeaderName::from_static(name))
            .collect()
    }

    fn keys(self) -> impl Iterator<Item = &'static str> {
        self.more_keys.then_some("token").into_iter()
    }

    /// Headers that are full of secrets. In HTTP what is binary is no more than a text.
    fn fill(self, headers: &mut HeaderMap, role: Role) {
        for name in CREDENTIALS {
            for value in [SECRET.to_owned(), format!("Bearer {SECRET}; second")] {
                headers.append(*name, value.parse().unwrap());
            }
        }
        for name in URLS {
            headers.append(*name, self.url().parse().unwrap());
            headers.append(*name, format!("/users?{}", self.query()).parse().unwrap());
        }
        let mut marked = HeaderValue::from_static(SECRET);
        marked.set_sensitive(true);
        headers.append(MARKED, marked);
        if matches!(role, Role::GrpcServer | Role::GrpcClient) {
            headers.append(BIN, HeaderValue::from_static(BINARY));
        }
        for name in ["from", "x-unlisted", "baggage"] {
            headers.append(name, HeaderValue::from_static(SECRET));
        }
    }

    fn request(self, role: Role) -> Request<()> {
        let target = match role {
            Role::HttpServer | Role::HttpClient => self.url(),
            Role::GrpcServer | Role::GrpcClient => {
                format!("http://me:{SECRET}@users.example/a.Users/Get")
            }
        };
        let mut request = Request::post(target).body(()).unwrap();
        self.fill(request.headers_mut(), role);
        let forwarded = "for=192.0.2.7;proto=https;host=\"me:s3cr3t@users.example\"";
        request
            .headers_mut()
            .append("forwarded", forwarded.parse().unwrap());
        request
            .extensions_mut()
            .insert(PeerAddr(([10, 0, 0, 1], 1).into()));
        request
    }

    fn answer(self, role: Role, way: Way) -> Result<Response<AnyBody>, BoxError> {
        let error = Said(format!("error sending request for url ({})", self.url()));
        if matches!(way, Way::Fails) {
            return Err(Box::new(error));
        }
        let mut trailers = HeaderMap::new();
        let steps = match way {
            Way::FailsInBody => vec![BodyStep::data("some"), BodyStep::Error("lost")],
            _ => {
                self.fill(&mut trailers, role);
                let failed = if matches!(way, Way::Refused) {
                    "14"
                } else {
                    "0"
                };
                trailers.insert("grpc-status", failed.parse().unwrap());
                let message = format!("no route to {}", self.url()).replace('%', "%25");
                trailers.insert("grpc-message", message.parse().unwrap());
                vec![BodyStep::data("all"), BodyStep::Trailers(trailers)]
            }
        };
        let status = if matches!(way, Way::Refused) {
            503
        } else {
            200
        };
        let body = ScriptedBody::new(&Probe::new(), steps);
        let body = body
            .map_err(move |_lost| BoxError::from(error.clone()))
            .boxed_unsync();
        let mut response = Response::builder().status(status).body(body).unwrap();
        self.fill(response.headers_mut(), role);
        Ok(response)
    }
}

/// Adds to a layer what a setting says.
macro_rules! configured {
    ($layer:expr, $setting:expr, $request:ident, $response:ident) => {{
        let mut layer = $layer
            .$request($setting.names())
            .$response($setting.names())
            .with_more_redacted_query_keys($setting.keys());
        if $setting.unredacted {
            layer = layer.with_credentials_captured_unredacted();
        }
        if $setting.hooks {
            layer = layer
                .on_request(|_, span| span.set_attribute(KeyValue::new("hook", "request")))
                .on_response(|_, span| span.set_attribute(KeyValue::new("hook", "response")))
                .on_end(|ended, span| {
                    let failure = ended.failure.map_or("", |failure| failure.description());
                    span.set_attribute(KeyValue::new("hook", failure.to_owned()));
                })
                .with_classify(|_, failure| failure);
        }
        layer
    }};
}

/// One exchange in this role.
fn exchange(spans: &Spans<SdkTracer>, role: Role, setting: Setting, way: Way) {
    let spans = spans.clone();
    match role {
        Role::HttpServer => {
            let mut layer = configured!(
                towline_http::server::TraceLayer::from_spans(spans),
                setting,
                with_request_headers,
                with_response_headers
            );
            if setting.proxies {
                let proxies = TrustedProxies::networks(["10.0.0.0/8"]).unwrap();
                layer = layer.with_trusted_proxies(proxies);
            }
            drive(layer, role, setting, way);
        }
        Role::HttpClient => drive(
            configured!(
                towline_http::client::TraceLayer::from_spans(spans),
                setting,
                with_request_headers,
                with_response_headers
            ),
            role,
            setting,
            way,
        ),
        Role::GrpcServer => drive(
            configured!(
                towline_grpc::server::TraceLayer::from_spans(spans),
                setting,
                with_request_metadata,
                with_response_metadata
            ),
            role,
            setting,
            way,
        ),
        Role::GrpcClient => drive(
            configured!(
                towline_grpc::client::TraceLayer::from_spans(spans),
                setting,
                with_request_metadata,
                with_response_metadata
            ),
            role,
            setting,
            way,
        ),
    }
}

fn drive<L: Begin>(layer: L, role: Role, setting: Setting, way: Way) {
    let service = service_fn(|_request| ready(setting.answer(role, way)));
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(Trace::new(service, layer).call(setting.request(role)));
    if let Way::Dropped = way {
        return;
    }
    let Poll::Ready(answer) = call.as_mut().poll(&mut cx) else {
        panic!("the service answers at once");
    };
    if let Ok(response) = answer {
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut cx) {}
    }
}

/// An error that says too much.
#[derive(Clone, Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Said {}

/// A program's tracing, whose batches stay in memory.
struct Pipeline {
    provider: SdkTracerProvider,
    sampler: Sampler,
    exporter: Exporter,
    memory: MemoryTransport,
}

impl Pipeline {
    fn new() -> Self {
        let memory = MemoryTransport::accepting();
        let builder = Exporter::builder().transport(memory.clone());
        let (processor, exporter) = builder.build().unwrap();
        let sampler = Sampler::new(Control::new(Rate::ALWAYS));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_span_processor(processor)
            .build();
        Self {
            provider,
            sampler,
            exporter,
            memory,
        }
    }

    fn spans(&self, sampler: bool, recorder: bool) -> Spans<SdkTracer> {
        let scope = InstrumentationScope::builder("towline-integration").build();
        let mut spans = Spans::new(self.provider.tracer_with_scope(scope.clone()));
        if sampler {
            spans = spans.with_sampler(self.sampler.clone());
        }
        if recorder {
            let recorder = self.exporter.recorder(scope, SpanLimits::default());
            spans = spans.with_recorder(Arc::new(recorder));
        }
        spans
    }

    /// Everything that was exported, as it went out.
    fn exported(&self) -> Vec<Batch> {
        self.exporter
            .blocking_flush(Duration::from_secs(30))
            .unwrap();
        let attempts = self.memory.attempts();
        attempts
            .iter()
            .map(|attempt| attempt.batch().clone())
            .collect()
    }
}

/// A writer to look at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The batches as each transport puts them down, by its name.
fn written(batches: &[Batch]) -> Vec<(&'static str, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    async fn send<S>(mut transport: S, batches: &[Batch])
    where
        S: Service<Batch, Response = Receipt, Error: fmt::Debug>,
    {
        for batch in batches {
            transport
                .ready()
                .await
                .unwrap()
                .call(batch.clone())
                .await
                .unwrap();
        }
    }
    let otlp = batches
        .iter()
        .flat_map(|batch| batch.bytes().to_vec())
        .collect();
    let mut all = vec![("otlp", otlp)];
    let console = Shared::default();
    runtime.block_on(send(Console::new(console.clone()), batches));
    all.push(("console", console.0.lock().unwrap().clone()));
    for (name, format) in [
        ("json", FileFormat::Json),
        ("teleport", FileFormat::Teleport),
        ("proto", FileFormat::Proto),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = File::builder(directory.path())
            .format(format)
            .build()
            .unwrap();
        runtime.block_on(send(file, batches));
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        all.push((name, bytes));
    }
    all
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Where a secret stands, with what is around it.
#[track_caller]
fn assert_no_secret(what: &str, bytes: &[u8]) {
    assert!(!bytes.is_empty(), "{what}");
    for secret in [SECRET, BINARY] {
        let at = bytes
            .windows(secret.len())
            .position(|window| window == secret.as_bytes());
        if let Some(at) = at {
            let around = &bytes[at.saturating_sub(120)..(at + 60).min(bytes.len())];
            panic!("{what}: {}", String::from_utf8_lossy(around));
        }
    }
}

const WAYS: [Way; 5] = [
    Way::Answered,
    Way::Refused,
    Way::Fails,
    Way::FailsInBody,
    Way::Dropped,
];

const ROLES: [Role; 4] = [
    Role::HttpServer,
    Role::HttpClient,
    Role::GrpcServer,
    Role::GrpcClient,
];

#[test]
fn no_secret_is_exported_whatever_is_asked_for() {
    let all = Pipeline::new();
    let mut seen = 0;
    for setting in Setting::all() {
        for role in ROLES {
            for way in WAYS {
                let spans = all.spans(setting.sampler, setting.recorder);
                exchange(&spans, role, setting, way);
                let batches = all.exported();
                let new = batches.get(seen..).unwrap();
                seen = batches.len();
                assert_eq!(new.iter().map(Batch::spans).sum::<usize>(), 1);
                for batch in new {
                    let what = format!("{role:?} {way:?} {setting:?}");
                    assert_no_secret(&what, batch.bytes());
                    if setting.listed && !matches!(way, Way::Dropped) {
                        // It is not that nothing was captured.
                        assert!(has(batch.bytes(), "x-api-key"), "{what}");
                        assert!(has(batch.bytes(), "REDACTED"), "{what}");
                    }
                }
            }
        }
    }
    let batches = all.exported();
    let spans: usize = batches.iter().map(Batch::spans).sum();
    assert_eq!(spans, 64 * ROLES.len() * WAYS.len());
    for (format, bytes) in written(&batches) {
        assert_no_secret(format, &bytes);
    }
}

/// That what is looked for can be found: the one option that lets credentials through does.
#[test]
fn who_insists_gets_credentials_in_every_format() {
    for (role, recorder) in ROLES
        .into_iter()
        .flat_map(|role| [(role, false), (role, true)])
    {
        let setting = Setting {
            listed: true,
            more_keys: true,
            hooks: false,
            proxies: false,
            sampler: true,
            recorder,
            unredacted: true,
        };
        let pipeline = Pipeline::new();
        exchange(
            &pipeline.spans(true, recorder),
            role,
            setting,
            Way::Answered,
        );
        for (format, bytes) in written(&pipeline.exported()) {
            assert!(
                has(&bytes, &format!("Bearer {SECRET}")),
                "{role:?} {format}"
            );
            // Of URLs and binary metadata it says nothing.
            assert!(!has(&bytes, BINARY), "{role:?} {format}");
            assert!(!has(&bytes, &format!("sig={SECRET}")), "{role:?} {format}");
            assert!(!has(&bytes, &format!("me:{SECRET}")), "{role:?} {format}");
        }
    }
}

/// A real client's error, which quotes its URL.
#[test]
fn the_url_in_the_error_of_a_client_is_without_its_secrets() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let pipeline = Pipeline::new();
    let layer = towline_http::client::TraceLayer::from_spans(pipeline.spans(true, true));
    let client = HttpClient::new(reqwest::Client::new());
    let client = ServiceExt::<Request<Bytes>>::map_err(client, BoxError::from);
    let url = format!("http://me:{SECRET}@{closed}/users?sig={SECRET}&q=1");
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let error = runtime
        .block_on(Trace::new(client, layer).oneshot(request))
        .unwrap_err();
    // It does say it.
    assert!(
        error.to_string().contains(&format!("sig={SECRET}")),
        "{error}"
    );
    for (format, bytes) in written(&pipeline.exported()) {
        assert_no_secret(format, &bytes);
        assert!(has(&bytes, "sig=REDACTED"), "{format}");
        assert!(has(&bytes, "error sending request"), "{format}");
    }
}
