//! From a file to everything that is needed but sockets.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::Layer;
use towline::{Config, Endpoint, Towline};
use towline_forwarder::{
    CertificateName, ClientCertificate, CoalesceLayer, Forwarder, Identity, OnRefusal, Place,
};

use crate::problems::Problems;
use crate::senders::{Known, Senders};
use crate::settings::{Settings, WhoMaySend};
use crate::units::{in_bytes, in_time};
use crate::{tls, tokens, yaml};

/// A forwarder that is ready to receive.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) settings: Settings,
    pub(crate) tls: Option<Protocols>,
    pub(crate) senders: Senders,
    pub(crate) forwarder: Forwarder,
    /// Owns the exporter.
    pub(crate) tracing: Towline,
    exporter_url: Option<Endpoint>,
}

/// TLS, as it is offered at each address.
#[derive(Clone)]
pub(crate) struct Protocols {
    pub(crate) grpc: TlsAcceptor,
    pub(crate) http: TlsAcceptor,
}

/// Reads a file, and tries everything that it names: certificates, tokens, where the spans go.
///
/// # Errors
///
/// Every mistake that can be found.
pub(crate) fn prepare(file: &Path) -> Result<Prepared, Problems> {
    let mut problems = Problems::new(file);
    let document = match yaml::read(file) {
        Ok(document) => document,
        Err(error) => {
            problems.unreadable(&error);
            return Err(problems);
        }
    };
    let settings = Settings::read(&document, &mut problems);
    let tls = settings
        .tls
        .as_ref()
        .and_then(|files| tls::load(files, &mut problems));
    let senders = senders(&settings, &mut problems);
    let upstream = upstream(file, &settings, &mut problems);
    match (senders, upstream) {
        (Some(senders), Some((tracing, exporter_url))) if problems.is_empty() => Ok(Prepared {
            tls: tls.map(Protocols::new),
            forwarder: forwarder(&settings, senders.clone(), &tracing),
            senders,
            tracing,
            exporter_url,
            settings,
        }),
        _ => Err(problems),
    }
}

fn senders(settings: &Settings, problems: &mut Problems) -> Option<Senders> {
    let known = match settings.authorization.senders.as_ref()? {
        WhoMaySend::Anyone => match Identity::new(ANONYMOUS) {
            Ok(identity) => Known::Anyone(identity),
            Err(error) => {
                problems.elsewhere(error);
                return None;
            }
        },
        WhoMaySend::Tokens(file) => {
            let text = match yaml::text(&file.value) {
                Ok(text) => text,
                Err(error) => {
                    let path = &file.value;
                    problems.with(
                        file,
                        format_args!(
                            "is {path:?}, which cannot be read: expected a file of tokens: {error}"
                        ),
                    );
                    return None;
                }
            };
            match tokens::read(&text, &file.value) {
                Ok(tokens) => Known::Tokens(tokens),
                Err(wrong) => {
                    for wrong in wrong {
                        problems.elsewhere(wrong);
                    }
                    return None;
                }
            }
        }
        WhoMaySend::Certificate { name, only } => {
            let known = ClientCertificate::new(*name);
            Known::Certificate(match only {
                Some(only) => known.only(only.clone()),
                None => known,
            })
        }
    };
    Some(Senders {
        known,
        roles: settings.authorization.roles.clone(),
    })
}

/// Where the spans go, by the facade's section. `None` with a mistake.
fn upstream(
    file: &Path,
    settings: &Settings,
    problems: &mut Problems,
) -> Option<(Towline, Option<Endpoint>)> {
    let config = match Config::from_file(file) {
        Ok(config) => config,
        Err(error) => {
            problems.elsewhere(with_causes(&error));
            return None;
        }
    };
    let (enabled, exporter_url) = (config.enabled(), config.endpoint().cloned());
    // One limit for what is held is enough: the forwarder's.
    let service_bytes = settings.limits.max_held_bytes.max(1);
    let tracing = Towline::builder()
        .with_config(config)
        .with_exporter_options(move |exporter| exporter.service_bytes(service_bytes))
        .build();
    let tracing = match tracing {
        Ok(tracing) => tracing,
        Err(error) => {
            problems.elsewhere(with_causes(&error));
            return None;
        }
    };
    if tracing.exporter().is_none() && enabled.is_none() {
        problems.elsewhere(format_args!(
            "{}: nothing says where spans go: expected `tracing_service` with `enabled: yes` and `exporter_url`, \
             or with `enabled: no` to throw them away",
            file.display()
        ));
        return None;
    }
    Some((tracing, exporter_url))
}

fn forwarder(settings: &Settings, senders: Senders, tracing: &Towline) -> Forwarder {
    let builder = Forwarder::builder()
        .authorize(senders)
        .on_refusal(settings.authorization.on_refusal)
        .key(settings.stamp_key.clone())
        .place(settings.stamp_place)
        .limits(settings.limits.of_forwarder());
    let Some(exporter) = tracing.exporter() else {
        return builder.build();
    };
    match settings.coalesce {
        Some(together) => {
            let layer = CoalesceLayer::new()
                .max_delay(together.max_delay)
                .max_bytes(together.max_bytes);
            builder.exporter(layer.layer(exporter.service())).build()
        }
        None => builder.exporter(exporter.service()).build(),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

// === impl Protocols ===

impl Protocols {
    fn new(config: ServerConfig) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            TlsAcceptor::from(Arc::new(config))
        };
        Self {
            grpc: offering(&[b"h2"]),
            http: offering(&[b"h2", b"http/1.1"]),
        }
    }
}

impl fmt::Debug for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protocols").finish_non_exhaustive()
    }
}

// === impl Prepared ===

impl Prepared {
    /// The scheme under which senders find an address.
    pub(crate) const fn schemes(&self) -> (&'static str, &'static str) {
        match self.tls {
            Some(_) => ("grpcs", "https"),
            None => ("grpc", "http"),
        }
    }

    /// What is no mistake, and should not go unseen.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let addresses = [self.settings.grpc, self.settings.http];
        let is_open = |address: &Option<SocketAddr>| {
            address.is_some_and(|address| !address.ip().is_loopback())
        };
        if !addresses.iter().any(is_open) {
            return vec![];
        }
        let has_client_ca =
            matches!(&self.settings.tls, Some(tls) if !tls.client_ca_files.is_empty());
        match &self.senders.known {
            Known::Tokens(_) if self.tls.is_none() => {
                vec![
                    "tokens come in plaintext from other machines: `tls` would hide them"
                        .to_owned(),
                ]
            }
            Known::Anyone(_) if !has_client_ca => {
                vec!["anyone on the network may send spans, as `anonymous`".to_owned()]
            }
            _ => vec![],
        }
    }

    fn senders(&self) -> String {
        let authorization = &self.settings.authorization;
        let mut text = match &authorization.senders {
            None | Some(WhoMaySend::Anyone) => format!("anyone, as {ANONYMOUS:?}"),
            Some(WhoMaySend::Tokens(file)) => {
                format!("by the tokens of {}", file.value.display())
            }
            Some(WhoMaySend::Certificate { name, only }) => {
                let name = match name {
                    CertificateName::Uri => "URI",
                    CertificateName::Dns => "DNS name",
                    CertificateName::Email => "mail address",
                    _ => "common name",
                };
                let only = only
                    .as_ref()
                    .map(|only| format!(", only {}", only.join(", ")));
                format!(
                    "by the {name} in their certificates{}",
                    only.unwrap_or_default()
                )
            }
        };
        if !authorization.roles.is_empty() {
            text += &format!(", with a role of {}", authorization.roles.join(", "));
        }
        text += match authorization.on_refusal {
            OnRefusal::Discard => "; others are not told that they may not",
            _ => "",
        };
        text
    }
}

/// What is on, a line for each thing.
impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            grpc,
            http,
            tls,
            stamp_key,
            stamp_place,
            limits,
            coalesce,
            ..
        } = &self.settings;
        let (grpc_scheme, http_scheme) = self.schemes();
        let secured = match tls {
            None => "plaintext",
            Some(tls) if tls.client_ca_files.is_empty() => "TLS",
            Some(_) => "TLS with certificates of clients",
        };
        for (name, scheme, address) in [("gRPC", grpc_scheme, grpc), ("HTTP", http_scheme, http)] {
            match address {
                Some(address) => writeln!(f, "{name}:       {scheme}://{address}, {secured}")?,
                None => writeln!(f, "{name}:       off")?,
            }
        }
        writeln!(f, "senders:    {}", self.senders())?;
        let place = match stamp_place {
            Place::Resource => "resources",
            Place::Spans => "spans",
            _ => "resources and spans",
        };
        writeln!(f, "stamp:      {stamp_key} on {place}")?;
        writeln!(
            f,
            "a request:  up to {} and {} spans, {} unless it says otherwise, at most {}; {} of standing still",
            in_bytes(limits.max_request_bytes),
            limits.max_spans,
            in_time(limits.timeout),
            in_time(limits.max_timeout),
            in_time(limits.idle_timeout),
        )?;
        writeln!(
            f,
            "together:   up to {} requests, {}, {} connections",
            limits.max_requests,
            in_bytes(limits.max_held_bytes),
            limits.max_connections,
        )?;
        match limits.rate {
            Some((rate, burst)) => {
                writeln!(
                    f,
                    "a sender:   up to {rate} spans per second, {burst} at once"
                )?;
            }
            None => writeln!(f, "a sender:   as many spans per second as it likes")?,
        }
        match coalesce {
            Some(together) => writeln!(
                f,
                "coalescing: up to {} in {}",
                in_bytes(together.max_bytes),
                in_time(together.max_delay)
            )?,
            None => writeln!(f, "coalescing: off")?,
        }
        match (&self.exporter_url, self.tracing.exporter()) {
            (Some(url), Some(_)) => write!(f, "spans go to {url}"),
            (None, Some(_)) => f.write_str("spans go to what the environment names"),
            (_, None) => f.write_str("spans are acknowledged and thrown away"),
        }
    }
}

/// Who everyone is.
const ANONYMOUS: &str = "anonymous";
