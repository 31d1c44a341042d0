//! What an operator can say, read from `forwarder_service`. The sample, `examples/config/forwarder.yaml`, has it all.

mod authorize;
mod limits;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use towline_forwarder::Place;
use towline_forwarder::stamp::FORWARDED_FOR;

pub(crate) use self::authorize::{Authorization, WhoMaySend};
pub(crate) use self::limits::LimitSettings;
use crate::problems::{Mapping, Problems, Said};
use crate::units;
use crate::yaml::{Node, Value};

/// The whole section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Where gRPC is received, if it is.
    pub(crate) grpc: Option<SocketAddr>,
    /// Where HTTP is received, if it is.
    pub(crate) http: Option<SocketAddr>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) authorization: Authorization,
    pub(crate) stamp_key: String,
    pub(crate) stamp_place: Place,
    pub(crate) limits: LimitSettings,
    pub(crate) coalesce: Option<Together>,
    pub(crate) stop_timeout: Duration,
}

/// The certificate of this server, and the authorities for those of its clients.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsFiles {
    pub(crate) cert_file: Said<PathBuf>,
    pub(crate) key_file: Said<PathBuf>,
    pub(crate) client_ca_files: Vec<Said<PathBuf>>,
}

/// How small batches become large ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Together {
    pub(crate) max_delay: Duration,
    pub(crate) max_bytes: usize,
}

// === impl Settings ===

impl Settings {
    /// Reads the section. Every mistake goes to `problems`, and a default in its place.
    pub(crate) fn read(document: &Node, problems: &mut Problems) -> Self {
        let document = Mapping::new("", document, DOCUMENT, problems);
        let section = document.section(FORWARDER_SERVICE, SECTION, problems);
        let (grpc, http) = addresses(&section, problems);
        let tls = TlsFiles::read(&section, problems);
        let knows_clients = tls
            .as_ref()
            .is_some_and(|tls| !tls.client_ca_files.is_empty());
        let stamp = section.section("stamp", STAMP, problems);
        Self {
            grpc,
            http,
            authorization: Authorization::read(&section, knows_clients, problems),
            tls,
            stamp_key: stamp.or("key", "the key of an attribute", problems, text, || {
                FORWARDED_FOR.to_owned()
            }),
            stamp_place: stamp.or("place", PLACES, problems, place, Place::default),
            limits: LimitSettings::read(&section, problems),
            coalesce: Together::read(&section, problems),
            stop_timeout: section.or("stop_timeout", TIME, problems, units::some_time, || {
                STOP_TIMEOUT
            }),
        }
    }
}

fn addresses(
    section: &Mapping<'_>,
    problems: &mut Problems,
) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let mut read = |key, port| {
        section.or(key, ADDRESS, problems, address, || {
            Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        })
    };
    let addresses = (
        read("grpc_listen_addr", GRPC_PORT),
        read("http_listen_addr", HTTP_PORT),
    );
    let both = "`grpc_listen_addr` and `http_listen_addr`, both";
    match addresses {
        (None, None) => section.wrong(
            problems,
            format_args!("has {both} off: expected an address for one of them"),
        ),
        (Some(grpc), Some(http)) if grpc == http && grpc.port() != 0 => section.wrong(
            problems,
            format_args!("has {both} {grpc}: expected two addresses"),
        ),
        _ => {}
    }
    addresses
}

fn address(value: &Value) -> Option<Option<SocketAddr>> {
    match units::boolean(value) {
        Some(false) => Some(None),
        _ => value.as_text()?.parse().ok().map(Some),
    }
}

fn place(value: &Value) -> Option<Place> {
    match value.as_text()? {
        "resource_and_spans" => Some(Place::ResourceAndSpans),
        "resource" => Some(Place::Resource),
        "spans" => Some(Place::Spans),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_text().map(ToOwned::to_owned)
}

fn file(value: &Value) -> Option<PathBuf> {
    let path = value.as_text().filter(|path| !path.is_empty())?;
    Some(path.into())
}

// === impl TlsFiles ===

impl TlsFiles {
    fn read(section: &Mapping<'_>, problems: &mut Problems) -> Option<Self> {
        let tls = section.section("tls", TLS, problems);
        let mut one = |key| tls.read(key, PEM_FILE, problems, file);
        let (cert_file, key_file) = (one("cert_file"), one("key_file"));
        let client_ca_files = tls.read_list("client_ca_files", PEM_FILE, problems, file);
        let said = |key| tls.get(key).is_some();
        match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(Self {
                cert_file,
                key_file,
                client_ca_files,
            }),
            _ => {
                let (cert, key) = (said("cert_file"), said("key_file"));
                if cert != key || (!cert && said("client_ca_files")) {
                    let missing = if cert { "key_file" } else { "cert_file" };
                    tls.wrong(
                        problems,
                        format_args!("has no `{missing}`: expected `cert_file` and `key_file`"),
                    );
                }
                None
            }
        }
    }
}

// === impl Together ===

impl Together {
    fn read(section: &Mapping<'_>, problems: &mut Problems) -> Option<Self> {
        let coalesce = section.section("coalesce", COALESCE, problems);
        let is_on = coalesce.or("enabled", YES_OR_NO, problems, units::boolean, || false);
        let together = Self {
            max_delay: coalesce.or("max_delay", TIME, problems, units::some_time, || {
                Duration::from_millis(20)
            }),
            max_bytes: coalesce.or("max_bytes", BYTES, problems, units::bytes, || 1 << 20),
        };
        is_on.then_some(together)
    }
}

pub(crate) const FORWARDER_SERVICE: &str = "forwarder_service";

/// What a document may have: beside our section that of the facade, under either of its names.
pub(crate) const DOCUMENT: &[&str] = &[FORWARDER_SERVICE, "tracing_service", "tracing"];

pub(crate) const SECTION: &[&str] = &[
    "grpc_listen_addr",
    "http_listen_addr",
    "tls",
    "authorize",
    "stamp",
    "limits",
    "coalesce",
    "stop_timeout",
];

pub(crate) const TLS: &[&str] = &["cert_file", "key_file", "client_ca_files"];

pub(crate) const STAMP: &[&str] = &["key", "place"];

pub(crate) const COALESCE: &[&str] = &["enabled", "max_delay", "max_bytes"];

pub(crate) const GRPC_PORT: u16 = 4317;
pub(crate) const HTTP_PORT: u16 = 4318;

const STOP_TIMEOUT: Duration = Duration::from_secs(10);

const ADDRESS: &str = "an address and a port, such as 127.0.0.1:4317, or off";
const PEM_FILE: &str = "the path of a PEM file";
const PLACES: &str = "resource_and_spans, resource or spans";
const YES_OR_NO: &str = "yes or no (or true, false, on, off)";
const TIME: &str = "a time of more than 0 and at most 24h, such as 20ms or 5s";
const BYTES: &str = "a number of bytes, such as 65536 or 64MiB";

#[cfg(test)]
mod tests;
