//! Requests and responses as attributes of the HTTP semantic conventions.
//!
//! What is public here are the parts that layers for other protocols over HTTP need as well.
//!
//! Names and types are those of the [HTTP spans] of semantic conventions 1.44.0, all of them stable.
//!
//! [HTTP spans]: https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/http/http-spans.md

mod failure;
mod host;
mod method;
mod options;

pub(crate) use self::failure::{failure_of, status_failure};
pub use self::host::{HostAndPort, authority_of};
pub(crate) use self::method::form as method_form;
pub(crate) use self::options::AttributeOptions;
pub use towline_span::{shared, shared_ip};

use http::{StatusCode, Version};
use opentelemetry::KeyValue;
use towline_span::AddressKeys;

/// How many bytes of a path, a query, a URL or a user agent are kept by default: 2,048, as Tempo
/// does. The OpenTelemetry SDK itself never shortens a value.
pub const DEFAULT_VALUE_LIMIT_BYTES: usize = 2048;

pub(crate) const CLIENT_ADDRESS: &str = "client.address";
pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(crate) const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
pub(crate) const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(crate) const HTTP_ROUTE: &str = "http.route";
/// `network.peer.address`
pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
/// `network.peer.port`
pub const NETWORK_PEER_PORT: &str = "network.peer.port";
pub(crate) const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
/// `server.address`
pub const SERVER_ADDRESS: &str = "server.address";
/// `server.port`
pub const SERVER_PORT: &str = "server.port";
pub(crate) const URL_FULL: &str = "url.full";
pub(crate) const URL_PATH: &str = "url.path";
pub(crate) const URL_QUERY: &str = "url.query";
pub(crate) const URL_SCHEME: &str = "url.scheme";
pub(crate) const URL_TEMPLATE: &str = "url.template";
pub(crate) const USER_AGENT_ORIGINAL: &str = "user_agent.original";

/// The client's address.
pub(crate) static CLIENT: AddressKeys = AddressKeys::new(&[CLIENT_ADDRESS]);
/// The peer's address: [`NETWORK_PEER_ADDRESS`].
pub static PEER: AddressKeys = AddressKeys::new(&[NETWORK_PEER_ADDRESS]);
/// The address of a client that is the peer.
pub(crate) static CLIENT_AND_PEER: AddressKeys =
    AddressKeys::new(&[CLIENT_ADDRESS, NETWORK_PEER_ADDRESS]);

/// Room for every attribute of a span, those set at its end included.
pub(crate) const CAPACITY: usize = 16;

/// `network.protocol.version`, unless it is a version that has no name yet.
pub(crate) const fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// `http.response.status_code`, an integer.
pub(crate) fn status_code(status: StatusCode) -> KeyValue {
    KeyValue::new(HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()))
}
