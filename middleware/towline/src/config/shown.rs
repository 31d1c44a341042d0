//! Values as the log and a report show them, without secrets.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use towline_http::CallerContext;
use towline_otlp::{Compression, Endpoint, EndpointError};
use towline_propagation::{Propagator, PropagatorKind};
use towline_sampler::{Limit, Rate};

use super::KeyPair;
use super::quantity::shown_duration;
use super::read::{Attributes, Headers};

pub(crate) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for bool {
    fn shown(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Shown for usize {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

impl Shown for Vec<String> {
    fn shown(&self) -> String {
        self.join(",")
    }
}

impl Shown for HeaderName {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Vec<HeaderName> {
    fn shown(&self) -> String {
        let names: Vec<_> = self.iter().map(HeaderName::as_str).collect();
        names.join(",")
    }
}

impl Shown for Vec<PropagatorKind> {
    fn shown(&self) -> String {
        Propagator::of(self.iter().copied()).to_string()
    }
}

impl Shown for CallerContext {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Limit {
    fn shown(&self) -> String {
        self.as_per_second().to_string()
    }
}

impl Shown for Rate {
    fn shown(&self) -> String {
        self.as_per_million().to_string()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        shown_duration(*self)
    }
}

impl Shown for Option<Compression> {
    fn shown(&self) -> String {
        self.map_or("none", Compression::as_str).to_owned()
    }
}

impl Shown for Result<Endpoint, EndpointError> {
    fn shown(&self) -> String {
        match self {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Shown for Vec<PathBuf> {
    fn shown(&self) -> String {
        let files: Vec<_> = self.iter().map(|file| file.display().to_string()).collect();
        files.join(", ")
    }
}

impl Shown for Vec<KeyPair> {
    fn shown(&self) -> String {
        let certs: Vec<_> = self
            .iter()
            .map(|pair| pair.cert_file().display().to_string())
            .collect();
        certs.join(", ")
    }
}

/// Names alone.
impl Shown for Headers {
    fn shown(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }
}

impl Shown for Attributes {
    fn shown(&self) -> String {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|pair| format!("{}={}", pair.key, pair.value))
            .collect();
        pairs.join(", ")
    }
}
