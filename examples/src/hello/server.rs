use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service, service_fn};

use super::{HelloReply, HelloRequest, SAY_HELLO, SAY_HELLOS, SERVICE};

/// What a greeter does.
pub trait Greeter: Send + Sync + 'static {
    /// What [`say_hellos`](Self::say_hellos) returns.
    type SayHellosStream: Stream<Item = Result<HelloReply, Status>> + Send + 'static;

    /// Unary.
    fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> impl Future<Output = Result<Response<HelloReply>, Status>> + Send;

    /// A stream each way.
    fn say_hellos(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> impl Future<Output = Result<Response<Self::SayHellosStream>, Status>> + Send;
}

/// A greeter as a service for tonic's router.
#[derive(Debug)]
pub struct GreeterServer<T> {
    inner: Arc<T>,
}

impl<T> GreeterServer<T> {
    /// A service of this greeter.
    pub fn new(inner: T) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl<T> Clone for GreeterServer<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> NamedService for GreeterServer<T> {
    const NAME: &'static str = SERVICE;
}

impl<T, B> Service<http::Request<B>> for GreeterServer<T>
where
    T: Greeter,
    B: HttpBody + Send + 'static,
    B::Error: Into<BoxError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let greeter = Arc::clone(&self.inner);
        match request.uri().path() {
            SAY_HELLO => Box::pin(async move {
                let method = service_fn(move |request| {
                    let greeter = Arc::clone(&greeter);
                    async move { greeter.say_hello(request).await }
                });
                Ok(Grpc::new(ProstCodec::default())
                    .unary(method, request)
                    .await)
            }),
            SAY_HELLOS => Box::pin(async move {
                let method = service_fn(move |request| {
                    let greeter = Arc::clone(&greeter);
                    async move { greeter.say_hellos(request).await }
                });
                Ok(Grpc::new(ProstCodec::default())
                    .streaming(method, request)
                    .await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}
