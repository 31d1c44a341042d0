use std::net::Ipv6Addr;

use url::Host;

use super::error::{EndpointError, EndpointErrorKind as Kind};

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn host_and_port(
    url: &str,
    authority: &str,
) -> Result<(Host<String>, Option<u16>), EndpointError> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed
            .split_once(']')
            .ok_or_else(|| EndpointError::new(Kind::Host, url, IPV6))?;
        let host: Ipv6Addr = host
            .parse()
            .map_err(|_| EndpointError::new(Kind::Host, url, IPV6))?;
        return Ok((Host::Ipv6(host), self::port(url, port)?));
    }
    let (host, port) = match authority.find(':') {
        Some(at) => authority.split_at(at),
        None => (authority, ""),
    };
    if port.rfind(':').is_some_and(|last| last > 0) {
        return Err(EndpointError::new(Kind::Host, url, IPV6));
    }
    Ok((self::host(url, host)?, self::port(url, port)?))
}

fn host(url: &str, host: &str) -> Result<Host<String>, EndpointError> {
    if host.is_empty() {
        return Err(EndpointError::new(Kind::Host, url, "a host"));
    }
    match Host::parse(host) {
        // `url` follows browsers, to whom `4317` and `1.2` are addresses. Whoever writes that means
        // something else.
        Ok(Host::Ipv4(address)) if host.parse() == Ok(address) => Ok(Host::Ipv4(address)),
        Ok(Host::Domain(domain)) if is_name(&domain) => Ok(Host::Domain(domain)),
        _ => Err(EndpointError::new(Kind::Host, url, HOST)),
    }
}

/// Whether it is a host name and not an address gone wrong.
fn is_name(domain: &str) -> bool {
    let mut labels = domain
        .strip_suffix('.')
        .unwrap_or(domain)
        .rsplit('.')
        .peekable();
    let is_number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
    !labels.peek().is_none_or(is_number) && labels.all(|label| !label.is_empty())
}

/// What follows the host: nothing, or `:` and a number.
fn port(url: &str, port: &str) -> Result<Option<u16>, EndpointError> {
    if port.is_empty() {
        return Ok(None);
    }
    port.strip_prefix(':')
        // `u16` would take a plus sign.
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|&port| port != 0)
        .map(Some)
        .ok_or_else(|| EndpointError::new(Kind::Port, url, "a port from 1 to 65535"))
}

const HOST: &str = "a host name, an IPv4 address of four numbers, or an IPv6 address in brackets";

const IPV6: &str = "an IPv6 address in brackets, such as [::1]";
