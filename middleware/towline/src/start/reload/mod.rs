use std::fmt;

use towline_http::Filters;
use towline_sampler::{Control, Rate};

use super::announce::TARGET;
use crate::config::{KEYS, Key, Settings};
use crate::environment::Variables;
use crate::handle::Role;
use crate::{Config, TowlineBuilder, layers};

/// What [`Towline::reload`](crate::Towline::reload) has done.
#[derive(Clone, Debug, Default)]
#[must_use = "some settings may need a restart"]
pub struct Reload {
    changed: Vec<Change>,
    needs_restart: Vec<Change>,
}

/// A setting that says something else than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    key: &'static str,
    from: Option<String>,
    to: Option<String>,
}

/// What is in force, and what it follows from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Basis {
    code: Settings,
    environment: Settings,
    /// Of code, configuration and environment together.
    in_force: Settings,
    is_disabled: bool,
    /// What it is where nobody says so.
    is_on_by_default: bool,
    /// The rate where nobody says one.
    rate: Option<Rate>,
    /// What was told to need a restart.
    told: Vec<Change>,
}

// === impl Reload ===

impl Reload {
    /// What has changed and is in force now.
    #[must_use]
    pub fn changed(&self) -> &[Change] {
        &self.changed
    }

    /// What says something else than at the start, and comes into force with the next one only.
    #[must_use]
    pub fn needs_restart(&self) -> &[Change] {
        &self.needs_restart
    }

    /// Whether the configuration says what is in force already.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.needs_restart.is_empty()
    }
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing has changed");
        }
        let mut between = "";
        for (what, changes) in [
            ("changed", &self.changed),
            ("needs a restart", &self.needs_restart),
        ] {
            if !changes.is_empty() {
                write!(f, "{between}{what}: {}", list(changes))?;
                between = "; ";
            }
        }
        Ok(())
    }
}

// === impl Change ===

impl Change {
    fn new(key: &Key, from: &Settings, to: &Settings) -> Self {
        Self {
            key: key.field.name(),
            from: (key.shown)(from),
            to: (key.shown)(to),
        }
    }

    /// The key, as it stands in a file.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// What it was, as a file says it; none where the default was in force. Of headers only the names are shown.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// What it is now, or would be after a restart.
    #[must_use]
    pub fn to(&self) -> Option<&str> {
        self.to.as_deref()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_default = |text: &Option<String>| text.clone().unwrap_or_else(|| "default".into());
        let (from, to) = (or_default(&self.from), or_default(&self.to));
        write!(f, "{} from {from} to {to}", self.key)
    }
}

fn list(changes: &[Change]) -> String {
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    changes.join(", ")
}

// === impl Basis ===

impl Basis {
    pub(crate) fn new(builder: &TowlineBuilder, variables: &Variables) -> Self {
        let (code, environment) = (builder.code.settings.clone(), variables.settings.clone());
        let in_force = code
            .clone()
            .or(builder.config.settings.clone())
            .or(environment.clone());
        Self {
            is_disabled: variables.disabled,
            is_on_by_default: code.exporter_url.is_some()
                || builder.transport.is_some()
                || builder.late_transport
                || builder.has_processors
                || builder.provider.is_some()
                || variables.exporter.is_some(),
            rate: None,
            told: Vec::new(),
            code,
            environment,
            in_force,
        }
    }

    /// With the rate that is in force where nobody says one.
    pub(super) const fn with_rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// What is in force.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.in_force
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.would_be_enabled(&self.in_force)
    }

    fn would_be_enabled(&self, settings: &Settings) -> bool {
        let said = settings.enabled.as_ref().map(|said| said.value);
        !self.is_disabled && said.unwrap_or(self.is_on_by_default)
    }

    /// Puts in force what can be.
    pub(crate) fn reload(
        &mut self,
        config: &Config,
        role: Role,
        control: &Control,
        filters: &Filters,
        has_ended: bool,
    ) -> Reload {
        let (code, environment) = (self.code.clone(), self.environment.clone());
        let wanted = code.or(config.settings.clone()).or(environment);
        let mut reload = Reload::default();
        if role == Role::Passing && !self.would_be_enabled(&wanted) {
            return reload;
        }
        for key in KEYS {
            if !(key.differs)(&self.in_force, &wanted) {
                continue;
            }
            let change = Change::new(key, &self.in_force, &wanted);
            let is_live = key.is_live
                && !has_ended
                && match role {
                    Role::Passing => false,
                    Role::Owner => true,
                    Role::Guest => key.is_for_any_provider,
                };
            if is_live {
                (key.adopt)(&mut self.in_force, &wanted);
                reload.changed.push(change);
            } else {
                reload.needs_restart.push(change);
            }
        }
        let has_changed = |name| reload.changed.iter().any(|change| change.key == name);
        if has_changed("enabled") {
            control.set_enabled(self.is_enabled());
        }
        if has_changed("sampling_rate_per_million") {
            let said = self.in_force.sampling_rate_per_million.as_ref();
            let by_default = self.rate.unwrap_or(Rate::NEVER);
            control.set_rate(said.map_or(by_default, |said| said.value));
        }
        if has_changed("remote_sampled_limit_per_second") {
            let said = self.in_force.remote_sampled_limit_per_second.as_ref();
            control.set_remote_limit(said.map(|said| said.value));
        }
        if has_changed("skip_paths") {
            filters.set(layers::filters(&self.in_force).unwrap_or_default());
        }
        self.tell(&reload);
        reload
    }

    /// Once: what needs a restart is not told again as long as it is the same.
    fn tell(&mut self, reload: &Reload) {
        if reload.changed.is_empty() && reload.needs_restart == self.told {
            return;
        }
        self.told.clone_from(&reload.needs_restart);
        let shown = |changes: &[Change]| (!changes.is_empty()).then(|| list(changes));
        tracing::info!(
            target: TARGET,
            changed = shown(&reload.changed),
            needs_restart = shown(&reload.needs_restart),
            "the configuration of tracing was reloaded"
        );
    }
}

#[cfg(test)]
#[cfg(feature = "yaml")]
mod precedence;
