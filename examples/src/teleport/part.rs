use clap::ValueEnum;

/// A part of the tracing that can be left out, to see what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Part {
    /// The layers of `tsh`'s HTTP and gRPC clients.
    ClientLayer,
    /// The handing over of `tsh`'s connection to forward spans through.
    Forwarding,
    /// The envelope around `tsh`'s messages to the node.
    Envelope,
    /// The forwarder of the auth server.
    Forwarder,
    /// The role that the forwarder asks for.
    RoleCheck,
    /// The stamp's own key: with another one it is not the attribute that everybody looks for.
    Stamp,
    /// The auth server's server layer.
    AuthServer,
    /// The auth server's client layer.
    AuthClient,
    /// The layer around the auth server's cache.
    Cache,
    /// The layer around the auth server's backend.
    Backend,
    /// The proxy's server layer.
    ProxyServer,
    /// The proxy's client layer.
    ProxyClient,
    /// The node's server layer.
    NodeServer,
    /// The node's client layer.
    NodeClient,
    /// The spans of the node's sessions.
    NodeSession,
}

// === impl Part ===

impl Part {
    /// Something, unless it is the part that is left out.
    pub(super) fn unless<R>(self, without: Option<Self>, part: impl FnOnce() -> R) -> Option<R> {
        (without != Some(self)).then(part)
    }
}
