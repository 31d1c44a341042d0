//! A service with a method of each kind, which does as it is told.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Code, Request, Response, Status, Streaming};
use tower::{Service, service_fn};

use crate::conversation::{Kind, Raw, message};

/// What the service does with a call.
#[derive(Clone, Copy, Debug)]
pub enum Script {
    /// Reads the messages and sends its own.
    Answer,
    /// Refuses the call: a status and nothing before it.
    Refuse(Code),
    /// Sends its messages and then this.
    FailAfterMessages(Code),
    /// Never answers.
    Hang,
    /// Sends a message and no more.
    HangMidway,
    /// Answers with these lines and nothing behind them.
    RawHead(u16, Lines),
    /// Answers with a message and these lines behind it, if any.
    RawTrailers(Lines),
}

pub type Lines = &'static [(&'static str, &'static [u8])];

#[derive(Clone, Debug)]
pub struct Echo {
    script: Script,
    seen: Arc<Seen>,
}

/// What the service has seen.
#[derive(Debug, Default)]
pub struct Seen {
    called: Notify,
    times: Mutex<(Option<Instant>, Option<SystemTime>)>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

// === impl Seen ===

impl Seen {
    /// Ready when the service has been called.
    pub async fn call(&self) {
        self.called.notified().await;
    }

    /// When the service was called.
    pub fn called_at(&self) -> Instant {
        self.times.lock().unwrap().0.expect("it was called")
    }

    /// When the service last sent a message.
    pub fn last_message(&self) -> Option<SystemTime> {
        self.times.lock().unwrap().1
    }

    fn is_called(&self) {
        self.times.lock().unwrap().0 = Some(Instant::now());
        self.called.notify_one();
    }

    fn sends(&self) {
        self.times.lock().unwrap().1 = Some(SystemTime::now());
    }
}

// === impl Echo ===

impl Echo {
    pub fn new(script: Script) -> Self {
        Self {
            script,
            seen: Arc::default(),
        }
    }

    pub fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let path = request.uri().path();
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.path() == path) else {
            return Status::unimplemented("no such method").into_http();
        };
        self.seen.is_called();
        match self.script {
            Script::RawHead(status, lines) => raw_head(status, lines),
            Script::RawTrailers(lines) => raw_trailers(lines),
            // tonic's handlers of one message cannot fail behind it; on the wire it is all the same.
            Script::FailAfterMessages(_) | Script::HangMidway => {
                self.handled(Kind::Bidi, kind, request).await
            }
            Script::Answer | Script::Refuse(_) | Script::Hang => {
                self.handled(kind, kind, request).await
            }
        }
    }

    /// By the handler of this kind, with as many messages as that kind has.
    async fn handled(
        self,
        handler: Kind,
        kind: Kind,
        request: http::Request<Body>,
    ) -> http::Response<Body> {
        let mut grpc = Grpc::new(Raw::default());
        let one = self.clone();
        match handler {
            Kind::Unary => {
                let handler = service_fn(move |_: Request<Bytes>| one.clone().one(None));
                grpc.unary(handler, request).await
            }
            Kind::ClientStream => {
                let handler =
                    service_fn(move |r: Request<Streaming<Bytes>>| one.clone().one(Some(r)));
                grpc.client_streaming(handler, request).await
            }
            Kind::ServerStream => {
                let handler = service_fn(move |_: Request<Bytes>| self.clone().many(kind, None));
                grpc.server_streaming(handler, request).await
            }
            Kind::Bidi => {
                let handler = service_fn(move |r: Request<Streaming<Bytes>>| {
                    self.clone().many(kind, Some(r))
                });
                grpc.streaming(handler, request).await
            }
        }
    }

    /// The answer of a method that sends one message.
    async fn one(
        self,
        request: Option<Request<Streaming<Bytes>>>,
    ) -> Result<Response<Bytes>, Status> {
        self.before(request).await?;
        self.seen.sends();
        Ok(Response::new(message(0)))
    }

    /// The answer of a method that sends several.
    async fn many(
        self,
        kind: Kind,
        request: Option<Request<Streaming<Bytes>>>,
    ) -> Result<Response<Messages>, Status> {
        self.before(request).await?;
        let script = self.script;
        let count = match script {
            Script::HangMidway => 1,
            _ => kind.responses(),
        };
        let messages = stream::iter(0..count).then(move |number| {
            self.seen.sends();
            async move { Ok(message(number)) }
        });
        let end: Messages = match script {
            Script::FailAfterMessages(code) => {
                stream::iter([Err(Status::new(code, "failed behind it"))]).boxed()
            }
            Script::HangMidway => stream::pending().boxed(),
            _ => stream::empty().boxed(),
        };
        Ok(Response::new(messages.chain(end).boxed()))
    }

    async fn before(&self, request: Option<Request<Streaming<Bytes>>>) -> Result<(), Status> {
        match self.script {
            Script::Refuse(code) => Err(Status::new(code, "refused")),
            Script::Hang => pending().await,
            _ => {
                if let Some(request) = request {
                    let mut messages = request.into_inner();
                    while let Some(_message) = messages.message().await? {}
                }
                Ok(())
            }
        }
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "towline.test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.clone().answer(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

fn raw_head(status: u16, lines: Lines) -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = status.try_into().unwrap();
    response.headers_mut().extend(headers(lines));
    response
}

fn raw_trailers(lines: Lines) -> http::Response<Body> {
    let text = message(0);
    let mut data = BytesMut::new();
    data.put_u8(0);
    data.put_u32(text.len() as u32);
    data.put(text);
    let data = Frame::data(data.freeze());
    let trailers = (!lines.is_empty()).then(|| Frame::trailers(headers(lines)));
    let frames = stream::iter([data].into_iter().chain(trailers).map(Ok::<_, Status>));
    let mut response = http::Response::new(Body::new(StreamBody::new(frames)));
    let grpc = HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, grpc);
    response
}

fn headers(lines: Lines) -> HeaderMap {
    let line = |(name, value): &(&'static str, &[u8])| {
        let value = HeaderValue::from_bytes(value).unwrap();
        (HeaderName::from_static(name), value)
    };
    lines.iter().map(line).collect()
}
