use std::error::Error;
use std::fmt;

use towline_otlp::{BoxTransport, Endpoint};

use super::certificates;
use super::origin::Origin;
use crate::environment::Variables;
use crate::{Config, StartError, StartErrorKind, TowlineBuilder};

/// Where spans go.
#[derive(Debug)]
pub(super) enum Target {
    Endpoint(Endpoint, Origin),
    Transport(BoxTransport),
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
        if transport.is_some() && by_code.is_some() {
            return Err(StartError::new(
                StartErrorKind::Conflict,
                "a transport and `exporter_url` are both given in code: expected one of them",
            ));
        }
        let target = if let Some(transport) = transport {
            Self::Transport(transport)
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
        };
        certificates::check(&builder.config, &target)?;
        Ok(target)
    }

    /// What carries spans there. Nothing is connected; a directory is made.
    pub(super) fn into_transport(self) -> Result<Option<BoxTransport>, StartError> {
        match self {
            Self::Processors => Ok(None),
            Self::Transport(transport) => Ok(Some(transport)),
            Self::Endpoint(endpoint, origin) => match BoxTransport::connect(&endpoint) {
                Ok(transport) => Ok(Some(transport)),
                Err(error) => {
                    let start = unusable(&origin, &error);
                    Err(if error.source().is_some() {
                        start.with_source(error)
                    } else {
                        start
                    })
                }
            },
        }
    }
}

/// As the log shows it. An endpoint has no secrets: user names, passwords and queries are not taken.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint, _) => endpoint.fmt(f),
            Self::Transport(_) => f.write_str("a transport in code"),
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
