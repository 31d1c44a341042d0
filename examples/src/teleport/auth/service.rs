use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Body as HttpBody;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::{BoxError, Service};

use super::store::{Query, Store};
use crate::teleport::proto::{
    AUTH, Access, CHECK_ACCESS, Carrier, DESCRIBE, Description, Empty, GET_NODE, LIST_NODES, Node,
    NodeName, Nodes, answer, call,
};

/// `proto.AuthService`, as a service for tonic's router.
#[derive(Clone)]
pub(super) struct AuthService {
    store: Store,
    /// To the node: what it says of itself is not in the backend.
    node: Carrier,
}

// === impl AuthService ===

impl AuthService {
    pub(super) const fn new(store: Store, node: Carrier) -> Self {
        Self { store, node }
    }

    async fn list_nodes(self) -> Result<Nodes, Status> {
        let found = self.store.read(Query::Nodes).await?;
        let mut nodes = Vec::with_capacity(found.len());
        for (name, address) in found {
            let description: Description =
                call(self.node.clone(), DESCRIBE, Empty::default()).await?;
            let labels = description.labels;
            nodes.push(Node {
                name,
                address,
                labels,
            });
        }
        Ok(Nodes { nodes })
    }

    async fn get_node(self, asked: NodeName) -> Result<Node, Status> {
        let found = self.store.read(Query::Node(asked.name.clone())).await?;
        let (name, address) = found
            .into_iter()
            .next()
            .ok_or_else(|| Status::not_found(format!("there is no node {}", asked.name)))?;
        let labels = String::new();
        Ok(Node {
            name,
            address,
            labels,
        })
    }

    async fn check_access(self, access: Access) -> Result<Empty, Status> {
        let Access { user, login } = access;
        let found = self.store.read(Query::User(user.clone())).await?;
        let logins = found.first().map_or("", |(_, logins)| logins.as_str());
        if logins.split(',').any(|one| one == login) {
            Ok(Empty::default())
        } else {
            let denied = format!("{user} may not log in as {login}");
            Err(Status::permission_denied(denied))
        }
    }
}

impl NamedService for AuthService {
    const NAME: &'static str = AUTH;
}

impl<B> Service<http::Request<B>> for AuthService
where
    B: HttpBody + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let auth = self.clone();
        Box::pin(async move {
            let path = request.uri().path();
            Ok(if path == LIST_NODES.path {
                answer(request, move |_: Empty| auth.clone().list_nodes()).await
            } else if path == GET_NODE.path {
                answer(request, move |asked| auth.clone().get_node(asked)).await
            } else if path == CHECK_ACCESS.path {
                answer(request, move |access| auth.clone().check_access(access)).await
            } else {
                // An `ExportSpan` that is not mounted ends here, as on a server that is too old for it.
                Status::unimplemented("no such method").into_http()
            })
        })
    }
}
