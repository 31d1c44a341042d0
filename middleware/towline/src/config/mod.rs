//! The `tracing_service` section.

#[cfg(feature = "yaml")]
mod error;
mod key_pair;
mod section;
mod setting;
mod value;
#[cfg(feature = "yaml")]
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use towline_otlp::{Endpoint, EndpointError};
use towline_sampler::Rate;

#[cfg(feature = "yaml")]
#[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
pub use self::error::{ConfigError, ConfigErrorKind};
pub use self::key_pair::KeyPair;

/// What an operator says about tracing: the `tracing_service` section of a configuration file, or the same in code.
///
/// The keys are Teleport's:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `enabled` | whether spans are recorded: yes, no, true, false, on, off | no, unless code or the environment names an exporter |
/// | `exporter_url` | where spans go, see [`Endpoint`] | none; must be given if enabled |
/// | `sampling_rate_per_million` | root traces recorded in a million, from 0 to 1000000 | 0: only what a sampled caller asks for |
/// | `ca_certs` | PEM files of the certificate authorities that the collector is checked against | the system's |
/// | `https_keypairs` or `keypairs` | client certificates, each with a `key_file` and a `cert_file` in PEM | none |
/// | `service_name` | the `service.name` of the spans | `unknown_service:<executable>` |
///
/// Relative paths count from the working directory. A key that is null or an empty text counts as not given. Unknown keys, keys given twice and values of another kind
/// are errors even where tracing is not enabled; files are looked for only where it is.
///
/// `https` and `grpcs` are TLS in any case. With certificates `http` and `grpc` are TLS as well, as they are with
/// Teleport; where certificates could have no effect (files, a unix socket, a transport in code) they are an error.
///
/// # Examples
///
/// As a section of a configuration of your own, in any format that serde knows:
///
/// ```
/// use serde::Deserialize;
/// use towline::{Config, Rate};
///
/// #[derive(Deserialize)]
/// struct AppConfig {
///     listen: String,
///     #[serde(default)]
///     tracing_service: Config,
/// }
///
/// let app: AppConfig = serde_json::from_str(r#"{
///     "listen": "127.0.0.1:8080",
///     "tracing_service": { "enabled": true, "exporter_url": "grpc://collector:4317" }
/// }"#)?;
/// assert_eq!(app.tracing_service.enabled(), Some(true));
/// assert_eq!(app.tracing_service.sampling_rate(), None);
/// # assert_eq!(app.listen, "127.0.0.1:8080");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// In code:
///
/// ```
/// use towline::{Config, Rate};
///
/// let config = Config::new()
///     .with_enabled(true)
///     .with_exporter_url("grpc://collector:4317")
///     .with_sampling_rate(Rate::ALWAYS);
/// assert_eq!(config.endpoint().map(ToString::to_string).as_deref(), Some("grpc://collector:4317"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    enabled: Option<bool>,
    exporter_url: Option<Result<Endpoint, EndpointError>>,
    sampling_rate: Option<Rate>,
    ca_certs: Vec<PathBuf>,
    https_keypairs: Vec<KeyPair>,
    service_name: Option<String>,
    file: Option<Arc<Path>>,
}

// === impl Config ===

impl Config {
    /// A configuration that says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The `tracing_service` section of a YAML document, or its `tracing` section as RFD 65 calls it. Without either the
    /// configuration says nothing. Other top-level keys are left to whom they belong.
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::Config;
    ///
    /// let config = Config::from_yaml("
    /// tracing_service:
    ///   enabled: yes
    ///   exporter_url: file:///var/lib/app/traces?limit=1000000
    ///   sampling_rate_per_million: 1000
    /// ")?;
    /// assert_eq!(config.sampling_rate().map(|rate| rate.as_per_million()), Some(1000));
    ///
    /// let error = Config::from_yaml("tracing_service: { enabled: maybe }").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 1, column 29: `enabled` is \"maybe\": expected yes or no (or true, false, on, off)",
    /// );
    /// # Ok::<(), towline::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text is not YAML, when a key of the section is unknown, when a value cannot be used, and
    /// when both sections are there.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        yaml::section(text)
    }

    /// [`from_yaml`](Self::from_yaml) of a file of at most 16 MiB. Later errors name the file.
    ///
    /// # Errors
    ///
    /// As [`from_yaml`](Self::from_yaml), and when the file cannot be read.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let config = yaml::read(path).and_then(|text| Self::from_yaml(&text));
        match config {
            Ok(config) => Ok(Self {
                file: Some(path.into()),
                ..config
            }),
            Err(error) => Err(error.with_file(path)),
        }
    }

    /// Says whether spans are recorded at all.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// Sets where spans go; see [`Endpoint`] for the URLs. What is wrong with it is told when tracing starts.
    #[must_use]
    pub fn with_exporter_url(mut self, url: impl AsRef<str>) -> Self {
        self.exporter_url = Some(Endpoint::parse(url.as_ref()));
        self
    }

    /// Sets how many root traces are recorded.
    #[must_use]
    pub fn with_sampling_rate(mut self, rate: Rate) -> Self {
        self.sampling_rate = Some(rate);
        self
    }

    /// Sets the PEM files of the certificate authorities that the collector is checked against, in place of the system's.
    #[must_use]
    pub fn with_ca_certs<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        self.ca_certs = files.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the client certificates.
    #[must_use]
    pub fn with_https_keypairs(mut self, pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        self.https_keypairs = pairs.into_iter().collect();
        self
    }

    /// Sets the `service.name` of the spans.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Whether spans are recorded, if that is said.
    #[must_use]
    pub const fn enabled(&self) -> Option<bool> {
        self.enabled
    }

    /// Where spans go, if that is said and can be read.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.exporter_url.as_ref()?.as_ref().ok()
    }

    /// How many root traces are recorded, if that is said.
    #[must_use]
    pub const fn sampling_rate(&self) -> Option<Rate> {
        self.sampling_rate
    }

    /// The PEM files of the certificate authorities.
    #[must_use]
    pub fn ca_certs(&self) -> &[PathBuf] {
        &self.ca_certs
    }

    /// The client certificates.
    #[must_use]
    pub fn https_keypairs(&self) -> &[KeyPair] {
        &self.https_keypairs
    }

    /// The `service.name`, if it is said.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.service_name.as_deref()
    }

    /// The exporter URL, good or bad.
    pub(crate) const fn exporter_url(&self) -> Option<&Result<Endpoint, EndpointError>> {
        self.exporter_url.as_ref()
    }

    /// The file it was read from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

#[cfg(test)]
#[cfg(feature = "yaml")]
mod tests;
