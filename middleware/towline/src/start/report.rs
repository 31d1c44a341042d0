use std::fmt;

use opentelemetry::Key;
use towline_http::CallerContext;

use super::announce;
use super::plan::{Plan, Planned};
use crate::StartError;
use crate::config::{Problem, Problems};

/// What would be on, and everything that is wrong: the answer of [`TowlineBuilder::check`](crate::TowlineBuilder::check).
///
/// `Display` is for people, with a line for each thing.
#[derive(Clone, Debug)]
#[must_use = "it says whether tracing would start"]
pub struct CheckReport {
    facts: Option<Facts>,
    problems: Problems,
    warnings: Vec<String>,
    is_reached: Option<bool>,
}

/// What would be on.
#[derive(Clone, Debug)]
struct Facts {
    exporter: Option<String>,
    sampling_rate_per_million: u32,
    propagators: String,
    trust: CallerContext,
    service_name: Option<String>,
}

pub(super) fn of(planned: Planned) -> CheckReport {
    let facts = match &planned.plan {
        None | Some(Plan::Off(_)) => None,
        Some(Plan::Provided(provided)) => {
            let said = provided.basis.settings().sampling_rate_per_million.as_ref();
            let rate = provided.sampler.control().rate();
            Some(Facts {
                exporter: Some("the provider's".to_owned()),
                sampling_rate_per_million: said.map_or(rate, |said| said.value).as_per_million(),
                propagators: provided.propagator.to_string(),
                trust: announce::trust(provided.basis.settings()),
                service_name: None,
            })
        }
        Some(Plan::Own(own)) => Some(Facts {
            exporter: own.target.as_ref().map(ToString::to_string),
            sampling_rate_per_million: own.rate().as_per_million(),
            propagators: own.propagator.to_string(),
            trust: announce::trust(own.basis.settings()),
            service_name: own
                .resource
                .get(&Key::new("service.name"))
                .map(|name| name.to_string()),
        }),
    };
    CheckReport {
        facts,
        problems: planned.problems.in_order(),
        warnings: planned.complaints,
        is_reached: None,
    }
}

// === impl CheckReport ===

impl CheckReport {
    pub(super) const fn with_connection(mut self, is_reached: Option<bool>) -> Self {
        self.is_reached = is_reached;
        self
    }

    /// Whether nothing is wrong: tracing would start, or is off.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether tracing is asked for.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.facts.is_some()
    }

    /// Where spans would go, as the log shows it; none where tracing is off or nobody says it.
    #[must_use]
    pub fn exporter(&self) -> Option<&str> {
        self.facts.as_ref()?.exporter.as_deref()
    }

    /// Whether the collector was reached: none where nobody has tried.
    #[must_use]
    pub const fn is_reached(&self) -> Option<bool> {
        self.is_reached
    }

    /// Everything that is wrong: tracing would not start, or its collector cannot be reached.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.as_slice()
    }

    /// What in the environment makes no sense and would be passed over.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// For `?`.
    ///
    /// # Errors
    ///
    /// [`StartError`] with everything that is wrong.
    pub fn into_result(self) -> Result<(), StartError> {
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(StartError::new(self.problems)),
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.facts {
            None if self.is_ok() => f.write_str("tracing is off")?,
            None => f.write_str("tracing would not start")?,
            Some(facts) => {
                f.write_str(if self.is_ok() {
                    "tracing would be on"
                } else {
                    "tracing would be on, but for what is wrong below"
                })?;
                if let Some(exporter) = &facts.exporter {
                    write!(f, "\n  exporter: {exporter}")?;
                }
                match self.is_reached {
                    Some(true) => f.write_str(", which was reached")?,
                    Some(false) => f.write_str(", which was not reached")?,
                    None => {}
                }
                let rate = facts.sampling_rate_per_million;
                write!(f, "\n  sampling_rate_per_million: {rate}")?;
                write!(f, "\n  propagators: {}", facts.propagators)?;
                write!(f, "\n  trust: {}", facts.trust)?;
                if let Some(name) = &facts.service_name {
                    write!(f, "\n  service_name: {name}")?;
                }
            }
        }
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        for problem in self.problems.as_slice() {
            write!(f, "\nerror: {}", problem.chain())?;
        }
        Ok(())
    }
}
