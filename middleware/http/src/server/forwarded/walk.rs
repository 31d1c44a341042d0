use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use super::element::{Element, split_last};
use super::{Forwarded, node};

/// What `Forwarded` says, read from the right as long as those are trusted who say it.
pub(super) fn forwarded(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Forwarded<'_> {
    let mut seen = Forwarded::default();
    for element in elements(headers, FORWARDED).take(MAX_HOPS) {
        let Some(element) = element.and_then(Element::parse) else {
            break;
        };
        let client = element.client.and_then(node::address);
        seen = Forwarded {
            client: client.or(seen.client),
            scheme: element.scheme,
            server: element.server,
        };
        if !client.is_some_and(&trusts) {
            break;
        }
    }
    seen
}

/// What `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` say, read likewise.
///
/// The three lists belong together as far as they are of a length. A proxy that passes on the scheme
/// and the host which another has written, and adds none, leaves the leftmost for all of them.
pub(super) fn x_forwarded(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Forwarded<'_> {
    let mut client = None;
    let mut hop = 0;
    for (n, element) in elements(headers, X_FORWARDED_FOR)
        .take(MAX_HOPS)
        .enumerate()
    {
        let Some(address) = element.and_then(|text| node::address(trimmed(text))) else {
            break;
        };
        (client, hop) = (Some(address), n);
        if !trusts(address) {
            break;
        }
    }
    let of_hop = |name| elements(headers, name).take(hop + 1).last()?.map(trimmed);
    Forwarded {
        client,
        scheme: of_hop(X_FORWARDED_PROTO).and_then(node::scheme),
        server: of_hop(X_FORWARDED_HOST).and_then(node::host),
    }
}

/// The elements of a list, over all its lines, from the right. Nothing in place of one that is no text.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    let lines = headers.get_all(name).into_iter().rev();
    lines.flat_map(|line| {
        let mut rest = Some(line.as_bytes());
        std::iter::from_fn(move || {
            let (before, last) = split_last(rest?);
            rest = before;
            Some(last)
        })
    })
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// How many proxies a request is followed through.
const MAX_HOPS: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
