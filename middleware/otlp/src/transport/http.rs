use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::client::{self, BoxError, MAX_RESPONSE_BYTES, Parts, Protocol, RequestOptions};
use super::compress::compress;
use super::connect::{Connector, Trouble};
use super::response::{receipt, rpc_status, text_of};
use super::{TransportError, TransportErrorKind};
use crate::{
    Batch, ClientOptions, Endpoint, ExportError, ExportErrorKind, PeerStatus, Receipt, Scheme,
};

/// OTLP/HTTP with binary protobuf, over HTTP/1.1, in plaintext or over TLS.
///
/// - Each batch is one POST. Connections are kept and made anew by themselves; none is made before
///   the first batch. If the server has closed one that was kept, the batch goes over another at
///   once: that is no failed attempt.
/// - Any 2xx is success. A partial success is read from the answer; an answer that cannot be read
///   is success with a message, since the status says so.
/// - 413 is [`TooLarge`](ExportErrorKind::TooLarge). Any other status is
///   [`Refused`](ExportErrorKind::Refused), with the text that the collector gave as its source,
///   and with `Retry-After` in either form. Redirects are not followed.
/// - At most 4 MiB of an answer are read. It is not asked for in compressed form.
/// - [`ClientOptions`]: TLS, headers, compression and the rest, for
///   [`with_options`](Self::with_options).
///
/// It must be called within a Tokio runtime, which the export thread is. Section:
/// [OTLP/HTTP](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.10.0/docs/specification.md#otlphttp).
///
/// # Examples
///
/// ```
/// use towline_otlp::{Endpoint, Exporter, Http};
///
/// let http = Http::new(&Endpoint::parse("http://localhost:4318")?)?;
/// assert_eq!(http.uri(), "http://localhost:4318/v1/traces");
/// let (processor, exporter) = Exporter::builder().transport(http).build()?;
/// # drop((processor, exporter));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Http<C = HttpClient> {
    client: C,
    uri: Uri,
    options: Arc<RequestOptions>,
}

/// The HTTP client that [`Http`] uses by default.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: Client<Connector, Full<Bytes>>,
    trouble: Trouble,
}

/// The future of [`HttpClient`].
type HttpClientFuture =
    Pin<Box<dyn Future<Output = Result<Response<hyper::body::Incoming>, BoxError>> + Send>>;

/// The future of [`Http`].
pub type HttpFuture = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

// === impl Http ===

impl Http {
    /// A transport to an endpoint with the scheme `http` or `https`, with the default options.
    ///
    /// # Errors
    ///
    /// [`TransportError`], as for [`with_options`](Self::with_options).
    pub fn new(endpoint: &Endpoint) -> Result<Self, TransportError> {
        Self::with_options(endpoint, &ClientOptions::new())
    }

    /// A transport to an endpoint with the scheme `http` or `https`.
    ///
    /// Certificates and keys are read here; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`TransportError`] for any other scheme, when TLS or a compression is not compiled in, and
    /// when an option or one of its files cannot be used.
    pub fn with_options(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<Self, TransportError> {
        if !matches!(endpoint.scheme(), Scheme::Http | Scheme::Https) {
            return Err(TransportError::new(
                TransportErrorKind::Scheme,
                format!("{endpoint} is not for HTTP: expected http:// or https://"),
            ));
        }
        let parts = Parts::new(endpoint, options, Protocol::Http1)?;
        Ok(Self {
            client: HttpClient::new(parts.connector),
            uri: parts.uri,
            options: Arc::new(parts.request),
        })
    }
}

impl<C> Http<C> {
    /// A transport over a client of your own, such as one with layers that add credentials. `uri`
    /// is complete, with the path.
    #[must_use]
    pub fn with_client(client: C, uri: Uri) -> Self {
        Self {
            client,
            options: Arc::new(RequestOptions::plain(&uri)),
            uri,
        }
    }

    /// Where batches are posted to.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    fn request(&self, batch: Batch) -> io::Result<Request<Full<Bytes>>> {
        let mut body = batch.into_bytes();
        let mut headers = self.options.headers.clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        if let Some(compression) = self.options.compression {
            body = compress(compression, &body)?.into();
            headers.insert(
                CONTENT_ENCODING,
                HeaderValue::from_static(compression.as_str()),
            );
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl<C, B> Service<Batch> for Http<C>
where
    C: Service<Request<Full<Bytes>>, Response = Response<B>>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Receipt;
    type Error = ExportError;
    type Future = HttpFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.client
            .poll_ready(cx)
            .map_err(|error| client::unreachable(&self.options.peer, error))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let options = Arc::clone(&self.options);
        let request = match self.request(batch) {
            Ok(request) => request,
            Err(error) => {
                let error = ExportError::new(
                    ExportErrorKind::Other,
                    format!("a batch for {} cannot be compressed", options.peer),
                )
                .with_source(error);
                return Box::pin(std::future::ready(Err(error)));
            }
        };
        let response = self.client.call(request);
        Box::pin(async move {
            let response = response
                .await
                .map_err(|error| client::unreachable(&options.peer, error))?;
            answer(&options.peer, response).await
        })
    }
}

// === impl HttpClient ===

impl HttpClient {
    fn new(connector: Connector) -> Self {
        let trouble = connector.trouble().clone();
        let inner = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self { inner, trouble }
    }
}

impl Service<Request<Full<Bytes>>> for HttpClient {
    type Response = Response<hyper::body::Incoming>;
    type Error = BoxError;
    type Future = HttpClientFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The client inside always is: it queues nothing, each call looks for a connection.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let (client, trouble) = (self.inner.clone(), self.trouble.clone());
        Box::pin(async move {
            // Servers close connections that are kept for long, and a request may be on its way
            // just then. hyper-util sends again what was not written; what was, OTLP lets us.
            for _ in 0..MAX_STALE {
                let opened = trouble.opened();
                match client.request(request.clone()).await {
                    Err(error) if !error.is_connect() && trouble.opened() == opened => {}
                    result => return result.map_err(|error| trouble.explain(error)),
                }
            }
            let result = client.request(request).await;
            result.map_err(|error| trouble.explain(error))
        })
    }
}

/// What an answer means.
async fn answer<B>(peer: &str, response: Response<B>) -> Result<Receipt, ExportError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    let is_protobuf = has_protobuf(&head.headers);
    let body = Box::pin(Limited::new(body, MAX_RESPONSE_BYTES))
        .collect()
        .await
        .map(|body| body.to_bytes());
    if head.status.is_success() {
        return match body {
            Ok(body) => Ok(success(&body, is_protobuf, &head.headers)),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(Receipt::partial(
                0,
                format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes"),
            )),
            // Whether everything was taken cannot be known: that is for a retry to find out.
            Err(error) => Err(client::unreachable(&peer, error)),
        };
    }
    Err(refusal(
        peer,
        head.status,
        &head.headers,
        is_protobuf,
        &body.unwrap_or_default(),
    ))
}

fn success(body: &[u8], is_protobuf: bool, headers: &HeaderMap) -> Receipt {
    if body.is_empty() {
        return Receipt::accepted();
    }
    if !is_protobuf {
        // A web server that takes anything anywhere is worth a hint.
        let found = headers.get(CONTENT_TYPE).map_or("nothing".into(), |found| {
            String::from_utf8_lossy(found.as_bytes())
        });
        return Receipt::partial(
            0,
            format!("the answer is {found}: expected application/x-protobuf"),
        );
    }
    receipt(body)
        .unwrap_or_else(|error| Receipt::partial(0, format!("the answer cannot be read: {error}")))
}

fn refusal(
    peer: &str,
    status: StatusCode,
    headers: &HeaderMap,
    is_protobuf: bool,
    body: &[u8],
) -> ExportError {
    let error = if status == StatusCode::PAYLOAD_TOO_LARGE {
        ExportError::new(
            ExportErrorKind::TooLarge,
            format!("{peer} does not take a batch of that size"),
        )
    } else {
        ExportError::refused(peer, PeerStatus::Http(status.as_u16()))
    };
    let text = if is_protobuf {
        rpc_status(body).message
    } else {
        text_of(body)
    };
    let error = if text.is_empty() {
        error
    } else {
        error.with_source(text)
    };
    match headers
        .get(RETRY_AFTER)
        .and_then(|delay| retry_after(delay, SystemTime::now()))
    {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

fn has_protobuf(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|found| {
        let found = found
            .as_bytes()
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        found.trim_ascii().eq_ignore_ascii_case(PROTOBUF.as_bytes())
    })
}

/// Seconds or a date: [RFC 9110, section
/// 10.2.3](https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3). A date in the past is no
/// delay.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let value = value.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Connections that one request may find closed; there is one for each batch on its way at a time.
const MAX_STALE: usize = 8;

/// A connection that is not used for so long is closed; one per flush interval is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_retry_after_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (value, expected) in [
            ("3", Some(Duration::from_secs(3))),
            ("0", Some(Duration::ZERO)),
            (
                "99999999999999999999999",
                Some(Duration::from_secs(u64::MAX)),
            ),
            (
                "Sun, 06 Nov 1994 08:49:37 GMT",
                Some(Duration::from_secs(7)),
            ),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(
                retry_after(&HeaderValue::from_static(value), now),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn success_is_success_whatever_the_answer_looks_like() {
        let headers =
            |value| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
        let read =
            |body: &[u8], value| success(body, has_protobuf(&headers(value)), &headers(value));
        assert_eq!(read(&[], "text/html"), Receipt::accepted());
        assert_eq!(
            read(&[0x0a, 2, 0x08, 7], "Application/X-Protobuf; charset=x"),
            Receipt::partial(7, "")
        );
        assert_eq!(read(b"<html>", "text/html").rejected_spans(), 0);
        assert!(
            read(b"<html>", "text/html")
                .message()
                .unwrap()
                .contains("text/html")
        );
        assert!(
            read(&[0xff], "application/x-protobuf")
                .message()
                .unwrap()
                .contains("cannot be read")
        );
    }
}
