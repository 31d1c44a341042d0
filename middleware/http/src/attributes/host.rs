use http::header::HOST;
use http::{HeaderMap, Uri};

/// A host and, if there is one, a port, out of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostAndPort<'a> {
    /// The host; an IPv6 address is without its brackets.
    pub host: &'a str,
    /// The port, if it is named.
    pub port: Option<u16>,
}

impl<'a> HostAndPort<'a> {
    /// From the target's authority (`:authority` of HTTP/2, the absolute form of HTTP/1), else from
    /// `Host`.
    pub fn of_request(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Self> {
        Self::read(authority_of(uri, headers)?)
    }

    /// The same, of what [`authority_of`] has found.
    pub(crate) fn read(authority: &'a [u8]) -> Option<Self> {
        // A header may be any bytes; a name of a host is none that are not ASCII.
        let authority = authority.is_ascii().then_some(authority)?;
        Self::parse(std::str::from_utf8(authority).ok()?)
    }

    /// Splits `host`, `host:port`, `[v6]` or `[v6]:port`, with or without user information.
    ///
    /// An IPv6 address is answered without its brackets. Nothing for an empty host or an IPv6 address
    /// whose bracket is never closed; a port that is no number is left out.
    pub(crate) fn parse(authority: &'a str) -> Option<Self> {
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port
            .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|port| port.parse().ok());
        (!host.is_empty()).then_some(Self { host, port })
    }
}

/// What a request says of whom it is for, as [`HostAndPort::of_request`] reads it: as it is, but for user information.
#[must_use]
pub fn authority_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a [u8]> {
    let authority = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => headers.get(HOST)?.as_bytes(),
    };
    // As good as nobody has any, and that is quickly seen.
    if !authority.contains(&b'@') {
        return Some(authority);
    }
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    authority.get(at + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_every_form_of_authority() {
        for (authority, expected) in [
            ("example.com", Some(("example.com", None))),
            ("example.com:8080", Some(("example.com", Some(8080)))),
            ("127.0.0.1:1", Some(("127.0.0.1", Some(1)))),
            ("[::1]", Some(("::1", None))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", Some(443)))),
            ("user:secret@example.com:1", Some(("example.com", Some(1)))),
            ("user@[::1]:2", Some(("::1", Some(2)))),
            ("user:s@cret@example.com", Some(("example.com", None))),
            ("example.com:", Some(("example.com", None))),
            ("example.com:x", Some(("example.com", None))),
            ("example.com:+1", Some(("example.com", None))),
            ("example.com:99999", Some(("example.com", None))),
            ("[::1", None),
            ("[]", None),
            (":80", None),
            ("", None),
        ] {
            let split = HostAndPort::parse(authority).map(|split| (split.host, split.port));
            assert_eq!(split, expected, "{authority}");
        }
    }

    #[test]
    fn the_target_comes_before_the_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "from-host:1".parse().unwrap());
        let of = |uri: &'static str| {
            let uri = Uri::from_static(uri);
            HostAndPort::of_request(&uri, &headers).map(|found| (found.host.to_owned(), found.port))
        };
        assert_eq!(of("/"), Some(("from-host".to_owned(), Some(1))));
        assert_eq!(of("http://target:2/"), Some(("target".to_owned(), Some(2))));
    }
}
