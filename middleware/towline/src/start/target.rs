use std::fmt;

use towline_otlp::{
    BoxTransport, BuildError, Endpoint, ExporterBuilder, TransportError, TransportErrorKind,
};

use super::origin::Origin;
use crate::environment::Variables;
use crate::{Config, StartError, StartErrorKind, TowlineBuilder};

/// Where spans go.
#[derive(Debug)]
pub(super) enum Target {
    Endpoint(Endpoint, Origin),
    Transport(BoxTransport),
    /// Code says it later.
    Late,
    /// To the user's span processors and nowhere else.
    Processors,
}

/// Reports a URL that cannot be read, whether tracing is on or off: a mistake should show when it is made, not when
/// tracing is switched on one night.
pub(super) fn check_urls(builder: &TowlineBuilder) -> Result<(), StartError> {
    for config in [&builder.code, &builder.config] {
        if let Some(Err(error)) = config.exporter_url() {
            let origin = Origin::of(config, "exporter_url");
            return Err(unusable(&origin, error));
        }
    }
    Ok(())
}

// === impl Target ===

impl Target {
    /// By the first who says so: code, configuration, environment.
    pub(super) fn find(
        builder: &mut TowlineBuilder,
        variables: &Variables,
    ) -> Result<Self, StartError> {
        let by_code = builder.code.endpoint();
        let transport = builder.transport.take();
        let said = [
            (transport.is_some(), "a transport"),
            (builder.late_transport, "a late transport"),
            (by_code.is_some(), "`exporter_url`"),
        ];
        let mut said = said.iter().filter(|(is_said, _)| *is_said);
        if let (Some((_, one)), Some((_, other))) = (said.next(), said.next()) {
            return Err(StartError::new(
                StartErrorKind::Conflict,
                format!("{one} and {other} are both given in code: expected one of them"),
            ));
        }
        Ok(if let Some(transport) = transport {
            Self::Transport(transport)
        } else if builder.late_transport {
            Self::Late
        } else if let Some(endpoint) = by_code {
            Self::Endpoint(endpoint.clone(), Origin::of(&builder.code, "exporter_url"))
        } else if let Some(endpoint) = builder.config.endpoint() {
            Self::Endpoint(
                endpoint.clone(),
                Origin::of(&builder.config, "exporter_url"),
            )
        } else if let Some(exporter) = &variables.exporter {
            let origin = Origin::Variable(exporter.variable);
            match &exporter.endpoint {
                Ok(endpoint) => Self::Endpoint(endpoint.clone(), origin),
                Err(error) => return Err(unusable(&origin, error)),
            }
        } else if builder.has_processors {
            Self::Processors
        } else {
            return Err(missing(&builder.config));
        })
    }

    /// Tells the exporter. Nothing is connected yet.
    pub(super) fn set_on(&self, exporter: ExporterBuilder) -> ExporterBuilder {
        match self {
            Self::Endpoint(endpoint, _) => exporter.endpoint(endpoint.clone()),
            Self::Transport(transport) => exporter.transport(transport.clone()),
            Self::Late => exporter.late_transport(),
            Self::Processors => exporter,
        }
    }

    /// Why the exporter could not be built, with the setting that is to blame.
    pub(super) fn error(&self, error: BuildError) -> StartError {
        let source = std::error::Error::source(&error);
        match (
            self,
            source.and_then(|source| source.downcast_ref::<TransportError>()),
        ) {
            (Self::Endpoint(_, origin), Some(transport)) => {
                let start = match transport.kind() {
                    // It names the file, which is more than where spans go.
                    TransportErrorKind::Tls => {
                        StartError::new(StartErrorKind::Certificates, transport.to_string())
                    }
                    _ => unusable(origin, transport),
                };
                if std::error::Error::source(transport).is_some() {
                    start.with_source(error)
                } else {
                    start
                }
            }
            _ => StartError::new(StartErrorKind::Exporter, error.to_string()).with_source(error),
        }
    }
}

/// As the log shows it. An endpoint has no secrets: user names, passwords and queries are not taken.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint, _) => endpoint.fmt(f),
            Self::Transport(_) => f.write_str("a transport in code"),
            Self::Late => f.write_str("a late transport in code"),
            Self::Processors => f.write_str("none but span processors in code"),
        }
    }
}

fn unusable(origin: &Origin, error: impl fmt::Display) -> StartError {
    StartError::new(StartErrorKind::Exporter, format!("{origin}: {error}"))
}

fn missing(config: &Config) -> StartError {
    let origin = Origin::of(config, "exporter_url");
    StartError::new(
        StartErrorKind::NoExporter,
        format!(
            "{origin} is not given although tracing is enabled: expected a URL such as grpc://collector:4317"
        ),
    )
}
