use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::attributes::HostAndPort;

/// The address of a hop: an IPv4 or IPv6 address, with or without brackets and a port. Nothing for
/// what hides itself, `unknown` or `_name`, and for everything else.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(())?;
            IpAddr::from(address)
        }
        None => match text.parse() {
            Ok(address) => address,
            Err(_) => {
                let (address, port) = text.split_once(':')?;
                let address: Ipv4Addr = address.parse().ok()?;
                is_port(port).then_some(())?;
                IpAddr::from(address)
            }
        },
    };
    Some(address.to_canonical())
}

/// A port, or a name that stands for one.
fn is_port(text: &str) -> bool {
    !text.is_empty()
        && (text.parse::<u16>().is_ok() && !text.starts_with('+')
            || text.starts_with('_') && text.bytes().all(is_name))
}

/// A scheme of HTTP. No other is believed: it would become an attribute of whatever was written.
pub(super) fn scheme(text: &str) -> Option<&'static str> {
    ["https", "http"]
        .into_iter()
        .find(|known| text.eq_ignore_ascii_case(known))
}

/// A host with or without a port, if it is one by its letters and its length.
pub(super) fn host(text: &str) -> Option<HostAndPort<'_>> {
    let legal = text.len() <= MAX_HOST_BYTES
        && text
            .bytes()
            .all(|byte| is_name(byte) || b"[]:".contains(&byte));
    if legal {
        HostAndPort::parse(text)
    } else {
        None
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// A name of 253 bytes and a port.
const MAX_HOST_BYTES: usize = 259;
