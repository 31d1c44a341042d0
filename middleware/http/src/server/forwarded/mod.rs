//! Who called, and how, as told by proxies that are trusted to tell.

mod element;
mod node;
mod walk;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

use crate::attributes::HostAndPort;

/// The proxies in front of a server, whose word on their callers is taken.
///
/// A request that came on a connection from one of them may say in `Forwarded` ([RFC 7239]) or in
/// `X-Forwarded-For`, `-Proto` and `-Host` who called the proxy. Each proxy adds to the right, so the
/// list is read from there: the address of the first that is *not* trusted is the client, and what
/// stands left of it was written by that client and is never looked at. If all are trusted it is the
/// leftmost. Scheme and host are those that the proxy tells which was called by this client.
///
/// What is malformed, `unknown` or hidden ends the list there, and the nearest address that is known is
/// the client's. A request from anybody else says nothing, whatever it carries; nor does one on a
/// connection whose peer is not known. `network.peer.*` stays what the connection says.
///
/// # Examples
///
/// ```
/// use towline_http::server::TrustedProxies;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let proxies = TrustedProxies::networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])?;
/// # let _ = proxies;
/// let error = TrustedProxies::networks(["10.0.0.0/33"]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"10.0.0.0/33\" is neither an IP address nor a network such as 10.0.0.0/8",
/// );
/// # Ok(())
/// # }
/// ```
///
/// [RFC 7239]: https://www.rfc-editor.org/rfc/rfc7239
#[derive(Clone)]
pub struct TrustedProxies {
    trusted: Trusted,
    headers: ForwardedHeaders,
}

#[derive(Clone)]
enum Trusted {
    Networks(Arc<[IpNet]>),
    By(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>),
}

/// Which headers a proxy writes.
///
/// It matters: a header that the proxy does not write it passes on as its caller has made it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeaders {
    /// Either. Where a request has both, and they name different clients, neither is believed. Name
    /// the right one if the proxy sometimes writes none. The default.
    #[default]
    Either,
    /// `Forwarded`.
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetworkError {
    text: String,
}

/// What trusted proxies say of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded<'a> {
    pub(crate) client: Option<IpAddr>,
    pub(crate) scheme: Option<&'static str>,
    pub(crate) server: Option<HostAndPort<'a>>,
}

// === impl TrustedProxies ===

impl TrustedProxies {
    /// The proxies with an address in one of these networks, `10.0.0.0/8` or a single address.
    ///
    /// An IPv4 address is the same in an IPv6 form (`::ffff:10.0.0.1`).
    ///
    /// # Errors
    ///
    /// If a text is neither an address nor a network in CIDR notation.
    pub fn networks<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ParseNetworkError> {
        let parsed = networks.into_iter().map(|text| {
            let text = text.as_ref();
            let parsed = text.parse().ok().or_else(|| {
                let address: IpAddr = text.parse().ok()?;
                Some(IpNet::from(address))
            });
            parsed.ok_or_else(|| ParseNetworkError {
                text: text.to_owned(),
            })
        });
        Ok(Self {
            trusted: Trusted::Networks(parsed.collect::<Result<_, _>>()?),
            headers: ForwardedHeaders::default(),
        })
    }

    /// The proxies that this function knows by their address. It is called for recorded requests
    /// only; an IPv4 address comes as one.
    #[must_use]
    pub fn by(trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self {
            trusted: Trusted::By(Arc::new(trusted)),
            headers: ForwardedHeaders::default(),
        }
    }

    /// Says which headers the proxies write. Default: [`ForwardedHeaders::Either`].
    #[must_use]
    pub const fn with_headers(mut self, headers: ForwardedHeaders) -> Self {
        self.headers = headers;
        self
    }

    /// What a request says that came from this peer.
    pub(crate) fn read<'a>(
        &self,
        peer: Option<SocketAddr>,
        headers: &'a HeaderMap,
    ) -> Forwarded<'a> {
        if !peer.is_some_and(|peer| self.trusts(peer.ip().to_canonical())) {
            return Forwarded::default();
        }
        let trusts = |address| self.trusts(address);
        let standard = || walk::forwarded(headers, trusts);
        let usual = || walk::x_forwarded(headers, trusts);
        match self.headers {
            ForwardedHeaders::Forwarded => standard(),
            ForwardedHeaders::XForwarded => usual(),
            ForwardedHeaders::Either => {
                let (one, other) = (standard(), usual());
                if let (Some(client), Some(another)) = (one.client, other.client)
                    && client != another
                {
                    return Forwarded::default();
                }
                Forwarded {
                    client: one.client.or(other.client),
                    scheme: one.scheme.or(other.scheme),
                    server: one.server.or(other.server),
                }
            }
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        match &self.trusted {
            Trusted::Networks(networks) => networks.iter().any(|net| net.contains(&address)),
            Trusted::By(trusted) => trusted(address),
        }
    }
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TrustedProxies");
        if let Trusted::Networks(networks) = &self.trusted {
            shown.field("networks", networks);
        }
        shown
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

// === impl ParseNetworkError ===

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text } = self;
        write!(
            f,
            "{text:?} is neither an IP address nor a network such as 10.0.0.0/8"
        )
    }
}

impl Error for ParseNetworkError {}

#[cfg(test)]
mod tests;
