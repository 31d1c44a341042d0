use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{GrpcMethod, IntoRequest, IntoStreamingRequest, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service};

use super::{HelloReply, HelloRequest, SAY_HELLO, SAY_HELLOS, SERVICE};

/// A client over whatever carries its calls: a channel, with or without layers around it.
#[derive(Clone, Debug)]
pub struct GreeterClient<T> {
    inner: Grpc<T>,
}

impl<T> GreeterClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<BoxError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<BoxError> + Send,
{
    /// A client that sends calls through `inner`.
    pub fn new(inner: T) -> Self {
        Self {
            inner: Grpc::new(inner),
        }
    }

    /// A client whose calls an interceptor sees first.
    pub fn with_interceptor<F>(inner: T, interceptor: F) -> GreeterClient<InterceptedService<T, F>>
    where
        F: Interceptor,
        T::ResponseBody: Default,
        T: Service<
                http::Request<Body>,
                Response = http::Response<<T as GrpcService<Body>>::ResponseBody>,
            >,
        <T as Service<http::Request<Body>>>::Error: Into<BoxError> + Send + Sync,
    {
        GreeterClient::new(InterceptedService::new(inner, interceptor))
    }

    /// Unary.
    ///
    /// # Errors
    ///
    /// The status of the call.
    pub async fn say_hello(
        &mut self,
        request: impl IntoRequest<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(SAY_HELLO);
        let mut request = request.into_request();
        let method = GrpcMethod::new(SERVICE, "SayHello");
        request.extensions_mut().insert(method);
        self.inner.unary(request, path, ProstCodec::default()).await
    }

    /// A stream each way.
    ///
    /// # Errors
    ///
    /// The status of the call, if it ends before the stream begins.
    pub async fn say_hellos(
        &mut self,
        request: impl IntoStreamingRequest<Message = HelloRequest>,
    ) -> Result<Response<Streaming<HelloReply>>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(SAY_HELLOS);
        let mut request = request.into_streaming_request();
        let method = GrpcMethod::new(SERVICE, "SayHellos");
        request.extensions_mut().insert(method);
        self.inner
            .streaming(request, path, ProstCodec::default())
            .await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.inner.ready().await;
        ready.map_err(|error| Status::unknown(format!("service was not ready: {}", error.into())))
    }
}
