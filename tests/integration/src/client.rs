use std::fmt::Debug;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, Version, response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceExt};

use crate::body::{Body, empty};
use crate::wait::within;

/// Which HTTP goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 in clear text, with prior knowledge.
    Http2,
}

/// The client of hyper-util.
pub type HyperClient<B = Body> = Client<HttpConnector, B>;

/// A response that has been read to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// Its head.
    pub head: response::Parts,
    /// Its data.
    pub data: Bytes,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
}

/// A client that speaks this protocol and no other.
#[must_use]
pub fn client<B>(protocol: Protocol) -> HyperClient<B>
where
    B: http_body::Body<Data: Send> + Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .http2_only(protocol == Protocol::Http2)
        // A request is sent once, so that each test knows how many arrive.
        .retry_canceled_requests(false)
        .build(connector)
}

/// A plain `GET`.
#[must_use]
pub fn get(uri: Uri) -> Request<Body> {
    Request::get(uri).body(empty()).unwrap()
}

/// Sends a request and waits for the head of the response.
#[track_caller]
pub fn ask<S, ReqB, ResB>(
    service: S,
    request: Request<ReqB>,
) -> impl Future<Output = Response<ResB>>
where
    S: Service<Request<ReqB>, Response = Response<ResB>, Error: Debug>,
{
    let response = within(service.oneshot(request));
    async move { response.await.expect("the server answers") }
}

/// Reads a response to its end.
#[track_caller]
pub fn read<B>(response: Response<B>) -> impl Future<Output = Answer>
where
    B: http_body::Body<Data: bytes::Buf, Error: Debug>,
{
    let (head, body) = response.into_parts();
    let collected = within(body.collect());
    async move {
        let collected = collected.await.expect("the body has an end");
        let trailers = collected.trailers().cloned();
        Answer {
            head,
            data: collected.to_bytes(),
            trailers,
        }
    }
}

// === impl Protocol ===

impl Protocol {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// What `network.protocol.version` says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }

    /// The version of a message.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Self::Http1 => Version::HTTP_11,
            Self::Http2 => Version::HTTP_2,
        }
    }
}
