//! The cluster's gRPC, as a generator would make it of its `.proto` files, less what no example needs.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::client;
use tonic::transport::Channel;
use tonic::{GrpcMethod, Request, Response, Status, server};
use tonic_prost::ProstCodec;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use towline::GrpcClientLayer;

/// A unary method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) path: &'static str,
    name: GrpcName,
}

type GrpcName = (&'static str, &'static str);

/// What carries calls: a channel, with a layer around it or without.
pub(crate) type Carrier = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

pub(crate) const AUTH: &str = "proto.AuthService";
pub(crate) const LIST_NODES: Method = method("/proto.AuthService/ListNodes", (AUTH, "ListNodes"));
pub(crate) const GET_NODE: Method = method("/proto.AuthService/GetNode", (AUTH, "GetNode"));
pub(crate) const CHECK_ACCESS: Method =
    method("/proto.AuthService/CheckAccess", (AUTH, "CheckAccess"));

pub(crate) const NODE: &str = "proto.NodeService";
pub(crate) const DESCRIBE: Method = method("/proto.NodeService/Describe", (NODE, "Describe"));

/// Nothing to say.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

/// Which node.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NodeName {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// A node, and where it takes sessions.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Node {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    /// What the node says of itself.
    #[prost(string, tag = "3")]
    pub(crate) labels: String,
}

/// All nodes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nodes {
    #[prost(message, repeated, tag = "1")]
    pub(crate) nodes: Vec<Node>,
}

/// Whether a user may be that login.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Access {
    #[prost(string, tag = "1")]
    pub(crate) user: String,
    #[prost(string, tag = "2")]
    pub(crate) login: String,
}

/// What a node says of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Description {
    #[prost(string, tag = "1")]
    pub(crate) labels: String,
}

const fn method(path: &'static str, name: GrpcName) -> Method {
    Method { path, name }
}

/// Puts a layer around a channel, if there is one.
pub(crate) fn carrier(channel: Channel, layer: Option<GrpcClientLayer>) -> Carrier {
    match layer {
        Some(layer) => boxed(layer.layer(channel)),
        None => boxed(channel),
    }
}

/// Calls a method.
pub(crate) async fn call<Q, A>(carrier: Carrier, method: Method, message: Q) -> Result<A, Status>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut client = client::Grpc::new(carrier);
    client.ready().await?;
    let mut request = Request::new(message);
    let (service, name) = method.name;
    request
        .extensions_mut()
        .insert(GrpcMethod::new(service, name));
    let path = PathAndQuery::from_static(method.path);
    let answer = client
        .unary(request, path, ProstCodec::<Q, A>::default())
        .await?;
    Ok(answer.into_inner())
}

/// Answers a call by a function.
pub(crate) async fn answer<Q, A, F, Fut, B>(
    request: http::Request<B>,
    function: F,
) -> http::Response<Body>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
    F: Fn(Q) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<A, Status>> + Send + 'static,
    B: HttpBody + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let function = Arc::new(function);
    let method = service_fn(move |request: Request<Q>| {
        let answer = function(request.into_inner());
        async move { answer.await.map(Response::new) }
    });
    server::Grpc::new(ProstCodec::<A, Q>::default())
        .unary(method, request)
        .await
}

fn boxed<S, B>(service: S) -> Carrier
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service.map_response(|response: http::Response<B>| response.map(Body::new));
    BoxCloneSyncService::new(service.map_err(|error| Status::from_error(error.into())))
}
