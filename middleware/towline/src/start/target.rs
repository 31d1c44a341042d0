use std::fmt;

use towline_otlp::{BoxTransport, Endpoint, ExporterBuilder};

use crate::config::{Origin, Problem, Problems, Settings};
use crate::environment::Variables;
use crate::{StartErrorKind, TowlineBuilder};

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
pub(super) fn check_urls(builder: &TowlineBuilder, problems: &mut Problems) {
    for config in [&builder.code, &builder.config] {
        if let Some(said) = &config.settings.exporter_url
            && let Err(error) = &said.value
        {
            problems.push(unusable(&said.origin, error));
        }
    }
}

// === impl Target ===

impl Target {
    /// By the first who says so: code, configuration, environment. None if nobody does, or what they say is a problem.
    pub(super) fn find(
        builder: &mut TowlineBuilder,
        variables: &Variables,
        problems: &mut Problems,
    ) -> Option<Self> {
        let url_of = |settings: &Settings| settings.exporter_url.clone();
        let by_code = url_of(&builder.code.settings);
        let transport = builder.transport.take();
        let said = [
            (transport.is_some(), "a transport"),
            (builder.late_transport, "a late transport"),
            (by_code.is_some(), "`exporter_url`"),
        ];
        let mut said = said.iter().filter(|(is_said, _)| *is_said);
        if let (Some((_, one)), Some((_, other))) = (said.next(), said.next()) {
            problems.push(Problem::new(
                StartErrorKind::Conflict,
                format!("{one} and {other} are both given in code: expected one of them"),
            ));
            return None;
        }
        if let Some(transport) = transport {
            Some(Self::Transport(transport))
        } else if builder.late_transport {
            Some(Self::Late)
        } else if let Some(said) = by_code.or_else(|| url_of(&builder.config.settings)) {
            // What is wrong with it was found before.
            let endpoint = said.value.ok()?;
            Some(Self::Endpoint(endpoint, said.origin))
        } else if builder.broken.contains(&"exporter_url") {
            None
        } else if let Some(exporter) = &variables.exporter {
            let origin = Origin::variable(exporter.variable);
            match &exporter.endpoint {
                Ok(endpoint) => Some(Self::Endpoint(endpoint.clone(), origin)),
                Err(error) => {
                    problems.push(unusable(&origin, error));
                    None
                }
            }
        } else if builder.has_processors {
            Some(Self::Processors)
        } else if builder.broken.contains(&"enabled") {
            // It may be off.
            None
        } else {
            problems.push(Problem::of(
                StartErrorKind::NoExporter,
                &builder.config.lacks("exporter_url"),
                " is not given although tracing is enabled: expected a URL such as grpc://collector:4317",
            ));
            None
        }
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

    /// The collector that it is, if it is one.
    pub(super) fn collector(&self) -> Option<&Endpoint> {
        match self {
            Self::Endpoint(endpoint, _) => Some(endpoint).filter(|url| url.authority().is_some()),
            _ => None,
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

pub(super) fn unusable(origin: &Origin, error: impl fmt::Display) -> Problem {
    Problem::of(StartErrorKind::Exporter, origin, format!(": {error}"))
}
