//! What may be said about tracing, in a file and in code.

#[cfg(feature = "yaml")]
mod document;
mod error;
mod key_pair;
mod kubernetes;
mod node;
mod options;
mod origin;
mod problem;
mod programs;
mod quantity;
mod read;
#[cfg(test)]
mod reference;
mod said;
mod section;
mod settings;
mod shown;
mod suggest;

#[cfg(feature = "yaml")]
use std::path::Path;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use serde::de::{Deserialize, Deserializer, Error};
use towline_otlp::{Compression, Endpoint};
use towline_propagation::PropagatorKind;
use towline_sampler::Rate;

pub use self::error::{ConfigError, ConfigErrorKind};
pub use self::key_pair::KeyPair;
use self::node::Node;
pub(crate) use self::options::{
    builder_lists, builder_options, config_lists, config_options, list_options, plain_options,
};
pub(crate) use self::origin::{Origin, Place};
pub use self::problem::Problem;
pub(crate) use self::problem::Problems;
use self::programs::{CRIO, ETCD};
pub(crate) use self::read::{Attributes, Headers};
pub(crate) use self::said::Said;
use self::section::{Grammar, Reading};
pub(crate) use self::settings::{KEYS, Key, Settings};
use crate::Environment;

/// What an operator says about tracing: the `tracing_service` section of a configuration file, or the same in code.
///
/// The keys are Teleport's, and more in their style; [the reference](crate::guide::configuration) has them all. These are
/// enough for most:
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
/// Relative paths count from the working directory. A key that is null or an empty text counts as not given. Unknown keys,
/// keys given twice and values of another kind are errors even where tracing is not enabled; files are looked for only
/// where it is. All of them are told at once.
///
/// `https` and `grpcs` are TLS in any case. With certificates `http` and `grpc` are TLS as well, as they are with
/// Teleport; where certificates could have no effect (files, a unix socket, a transport in code) they are an error.
///
/// The tracing configuration of Kubernetes, of etcd and of CRI-O is read as well: see
/// [`from_yaml`](Self::from_yaml), [`deserialize_kubernetes`](Self::deserialize_kubernetes),
/// [`from_etcd_flags`](Self::from_etcd_flags), [`from_crio_flags`](Self::from_crio_flags) and
/// [`deserialize_crio`](Self::deserialize_crio).
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
    pub(crate) settings: Settings,
    /// The section, if it stands somewhere.
    section: Option<Origin>,
}

// === impl Config ===

impl Config {
    /// A configuration that says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(feature = "yaml")]
    fn of(settings: Settings, section: Origin) -> Self {
        Self {
            settings,
            section: Some(section),
        }
    }

    /// The `tracing_service` section of a YAML document, or its `tracing` section as RFD 65 calls it. Without either the
    /// configuration says nothing. Other top-level keys are left to whom they belong.
    ///
    /// A document of the kind `TracingConfiguration` is read as Kubernetes reads it, and so is a `tracing` section with
    /// the keys `endpoint` and `samplingRatePerMillion`, as the kubelet has it: such a configuration is on, to
    /// `localhost:4317` and with the rate 0 unless it says otherwise.
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
    ///   flush_interval: 1s
    ///   buffer_bytes: 64MiB
    /// ")?;
    /// assert_eq!(config.sampling_rate().map(|rate| rate.as_per_million()), Some(1000));
    /// assert_eq!(config.buffer_bytes(), Some(64 << 20));
    ///
    /// let error = Config::from_yaml("tracing_service: { enabled: maybe, sampling_rate: 1 }").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 1, column 29: `enabled` is \"maybe\": expected yes or no (or true, false, on, off)\n\
    ///      line 1, column 36: unknown key `sampling_rate`: did you mean `sampling_rate_per_million`?",
    /// );
    ///
    /// let kubernetes = Config::from_yaml("
    /// apiVersion: apiserver.config.k8s.io/v1
    /// kind: TracingConfiguration
    /// endpoint: collector:4317
    /// ")?;
    /// assert_eq!(kubernetes.enabled(), Some(true));
    /// # Ok::<(), towline::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text is not YAML, when a key of the section is unknown, when a value cannot be used, and
    /// when both sections are there; with everything that is wrong.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let (config, reading) = document::parse(text, None)?;
        ConfigError::unless(config, reading.problems)
    }

    /// [`from_yaml`](Self::from_yaml) of a file of at most 16 MiB. Errors, also later ones, name the file and the line.
    ///
    /// # Errors
    ///
    /// As [`from_yaml`](Self::from_yaml), and when the file cannot be read.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let (config, reading) = Self::read_file(path.as_ref())?;
        ConfigError::unless(config, reading.problems)
    }

    /// What a file says, good and bad.
    #[cfg(feature = "yaml")]
    pub(crate) fn read_file(path: &Path) -> Result<(Self, Reading), ConfigError> {
        document::parse(&document::read(path)?, Some(path))
    }

    /// The `tracing` stanza of a kubelet's configuration, or the keys of a `TracingConfiguration`, as a part of a
    /// configuration of your own: for `#[serde(deserialize_with = "Config::deserialize_kubernetes")]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::Deserialize;
    /// use towline::Config;
    ///
    /// #[derive(Deserialize)]
    /// struct AppConfig {
    ///     #[serde(default, deserialize_with = "Config::deserialize_kubernetes")]
    ///     tracing: Config,
    /// }
    ///
    /// let app: AppConfig = serde_json::from_str(r#"{ "tracing": { "samplingRatePerMillion": 100 } }"#)?;
    /// assert_eq!(app.tracing.enabled(), Some(true));
    /// assert_eq!(app.tracing.endpoint().map(ToString::to_string).as_deref(), Some("grpc://localhost:4317"));
    ///
    /// let app: AppConfig = serde_json::from_str("{}")?;
    /// assert_eq!(app.tracing.enabled(), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The format's, and with everything that is wrong: an unknown key, an endpoint with another scheme than `dns`, `unix`
    /// or `unix-abstract`, a rate outside of 0 to 1000000.
    pub fn deserialize_kubernetes<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        Self::by_serde(kubernetes::stanza(node, &Place::default()))
    }

    /// CRI-O's table `crio.tracing`, as a part of a configuration of your own: `enable_tracing`, `tracing_endpoint`,
    /// `tracing_sampling_rate_per_million`, with CRI-O's defaults; see [`from_crio_flags`](Self::from_crio_flags).
    ///
    /// # Errors
    ///
    /// The format's, and with everything that is wrong.
    pub fn deserialize_crio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::by_serde(CRIO.read_table(Node::deserialize(deserializer)?))
    }

    /// The tracing options of etcd, by arguments (`--name=value` or `--name value`) over environment variables. Other
    /// arguments are passed over.
    ///
    /// | argument | variable | here | default |
    /// |---|---|---|---|
    /// | `--enable-distributed-tracing` | `ETCD_ENABLE_DISTRIBUTED_TRACING` | `enabled` | false |
    /// | `--distributed-tracing-address` | `ETCD_DISTRIBUTED_TRACING_ADDRESS` | `exporter_url` | `localhost:4317` |
    /// | `--distributed-tracing-service-name` | `ETCD_DISTRIBUTED_TRACING_SERVICE_NAME` | `service_name` | `etcd` |
    /// | `--distributed-tracing-instance-id` | `ETCD_DISTRIBUTED_TRACING_INSTANCE_ID` | the attribute `service.instance.id` | not set |
    /// | `--distributed-tracing-sampling-rate` | `ETCD_DISTRIBUTED_TRACING_SAMPLING_RATE` | `sampling_rate_per_million` | 0 |
    ///
    /// The address may also be a [URL](Endpoint). The rate is checked whether tracing is enabled or not; etcd looks at it
    /// only if it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::{Config, Environment};
    ///
    /// let arguments = ["--name=a", "--enable-distributed-tracing", "--distributed-tracing-sampling-rate=100"];
    /// let config = Config::from_etcd_flags(arguments, &Environment::empty())?;
    /// assert_eq!(config.enabled(), Some(true));
    /// assert_eq!(config.sampling_rate().map(|rate| rate.as_per_million()), Some(100));
    /// assert_eq!(config.service_name(), Some("etcd"));
    /// # Ok::<(), towline::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every value that cannot be used, by its argument or its variable.
    pub fn from_etcd_flags<A: AsRef<str>>(
        arguments: impl IntoIterator<Item = A>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::by_program(ETCD.read_flags(arguments, environment))
    }

    /// The tracing options of CRI-O, by arguments (`--name=value` or `--name value`) over environment variables. Other
    /// arguments are passed over.
    ///
    /// | argument | variable | here | default |
    /// |---|---|---|---|
    /// | `--enable-tracing` | `CONTAINER_ENABLE_TRACING` | `enabled` | false |
    /// | `--tracing-endpoint` | `CONTAINER_TRACING_ENDPOINT` | `exporter_url` | `127.0.0.1:4317` |
    /// | `--tracing-sampling-rate-per-million` | `CONTAINER_TRACING_SAMPLING_RATE_PER_MILLION` | `sampling_rate_per_million` | 0 |
    ///
    /// The endpoint may also be a [URL](Endpoint). Both it and the rate are checked; CRI-O looks at neither.
    ///
    /// # Examples
    ///
    /// ```
    /// use towline::{Config, Environment};
    ///
    /// let environment = Environment::from_iter([("CONTAINER_ENABLE_TRACING", "true")]);
    /// let config = Config::from_crio_flags(["--tracing-endpoint", "collector:4317"], &environment)?;
    /// assert_eq!(config.enabled(), Some(true));
    /// assert_eq!(config.endpoint().map(ToString::to_string).as_deref(), Some("grpc://collector:4317"));
    /// # Ok::<(), towline::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every value that cannot be used, by its argument or its variable.
    pub fn from_crio_flags<A: AsRef<str>>(
        arguments: impl IntoIterator<Item = A>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        Self::by_program(CRIO.read_flags(arguments, environment))
    }

    fn by_program(reading: Reading) -> Result<Self, ConfigError> {
        let config = Self {
            settings: reading.settings,
            section: None,
        };
        ConfigError::unless(config, reading.problems)
    }

    fn by_serde<E: Error>(reading: Reading) -> Result<Self, E> {
        Self::by_program(reading).map_err(E::custom)
    }

    /// Says whether spans are recorded at all.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.settings.enabled = Some(Said::new(enabled, Origin::code("enabled")));
        self
    }

    /// Sets where spans go; see [`Endpoint`] for the URLs. What is wrong with it is told when tracing starts.
    #[must_use]
    pub fn with_exporter_url(mut self, url: impl AsRef<str>) -> Self {
        let endpoint = Endpoint::parse(url.as_ref());
        self.settings.exporter_url = Some(Said::new(endpoint, Origin::code("exporter_url")));
        self
    }

    /// Sets how many root traces are recorded.
    #[must_use]
    pub fn with_sampling_rate(mut self, rate: Rate) -> Self {
        let origin = Origin::code("sampling_rate_per_million");
        self.settings.sampling_rate_per_million = Some(Said::new(rate, origin));
        self
    }

    /// Sets which headers carry the context.
    #[must_use]
    pub fn with_propagators(mut self, kinds: impl IntoIterator<Item = PropagatorKind>) -> Self {
        let kinds = kinds.into_iter().collect();
        self.settings.propagators = Some(Said::new(kinds, Origin::code("propagators")));
        self
    }

    /// Which headers carry the context, if that is said.
    #[must_use]
    pub fn propagators(&self) -> Option<&[PropagatorKind]> {
        self.settings
            .propagators
            .as_ref()
            .map(|said| &said.value[..])
    }

    /// Sets the header in which server layers tell callers the id of a sampled trace. Default: they do not.
    #[must_use]
    pub fn with_response_trace_id_header(mut self, name: HeaderName) -> Self {
        let origin = Origin::code("response_trace_id_header");
        self.settings.response_trace_id_header = Some(Said::new(name, origin));
        self
    }

    /// The header in which server layers tell callers the trace id, if there is one.
    #[must_use]
    pub fn response_trace_id_header(&self) -> Option<&HeaderName> {
        let said = self.settings.response_trace_id_header.as_ref();
        said.map(|said| &said.value)
    }

    /// Sets the PEM files of the certificate authorities that the collector is checked against, in place of the system's.
    #[must_use]
    pub fn with_ca_certs<P: Into<PathBuf>>(mut self, files: impl IntoIterator<Item = P>) -> Self {
        let files = files.into_iter().map(Into::into).collect();
        self.settings.ca_certs = Some(Said::new(files, Origin::code("ca_certs")));
        self
    }

    /// Sets the client certificates.
    #[must_use]
    pub fn with_https_keypairs(mut self, pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        let pairs = pairs.into_iter().collect();
        self.settings.https_keypairs = Some(Said::new(pairs, Origin::code("https_keypairs")));
        self
    }

    /// Sets the `service.name` of the spans.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.settings.service_name = Some(Said::new(name.into(), Origin::code("service_name")));
        self
    }

    /// Sets attributes of the resource, each over one of the same name that is detected or comes from the environment.
    #[must_use]
    pub fn with_resource_attributes(
        mut self,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> Self {
        let attributes = Attributes(attributes.into_iter().collect());
        let origin = Origin::code("resource_attributes");
        self.settings.resource_attributes = Some(Said::new(attributes, origin));
        self
    }

    /// Sets the headers that go with every batch to a collector. Their values are secrets, and never shown.
    #[must_use]
    pub fn with_headers(
        mut self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        let headers = Headers(headers.into_iter().collect());
        self.settings.headers = Some(Said::new(headers, Origin::code("headers")));
        self
    }

    /// Sets how batches are compressed on their way to a collector; `None` for not at all, whatever the environment says.
    #[must_use]
    pub fn with_compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        let origin = Origin::code("compression");
        self.settings.compression = Some(Said::new(compression.into(), origin));
        self
    }

    /// Sets a product such as `users/1.0`, which is put before the `User-Agent` that the collector sees.
    #[must_use]
    pub fn with_user_agent(mut self, product: impl Into<String>) -> Self {
        self.settings.user_agent = Some(Said::new(product.into(), Origin::code("user_agent")));
        self
    }

    /// Whether spans are recorded, if that is said.
    #[must_use]
    pub fn enabled(&self) -> Option<bool> {
        self.settings.enabled.as_ref().map(|said| said.value)
    }

    /// Where spans go, if that is said and can be read.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.settings.exporter_url.as_ref()?.value.as_ref().ok()
    }

    /// How many root traces are recorded, if that is said.
    #[must_use]
    pub fn sampling_rate(&self) -> Option<Rate> {
        let said = self.settings.sampling_rate_per_million.as_ref();
        said.map(|said| said.value)
    }

    /// The PEM files of the certificate authorities.
    #[must_use]
    pub fn ca_certs(&self) -> &[PathBuf] {
        self.settings
            .ca_certs
            .as_ref()
            .map_or(&[], |said| &said.value)
    }

    /// The client certificates.
    #[must_use]
    pub fn https_keypairs(&self) -> &[KeyPair] {
        let said = self.settings.https_keypairs.as_ref();
        said.map_or(&[], |said| &said.value)
    }

    /// The `service.name`, if it is said.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        Some(&self.settings.service_name.as_ref()?.value)
    }

    /// Attributes of the resource.
    #[must_use]
    pub fn resource_attributes(&self) -> &[KeyValue] {
        let said = self.settings.resource_attributes.as_ref();
        said.map_or(&[], |said| &said.value.0)
    }

    /// The headers that go with every batch, secrets included.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        self.settings
            .headers
            .as_ref()
            .map_or(&[], |said| &said.value.0)
    }

    /// How batches are compressed: `Some(None)` is said to be not at all.
    #[must_use]
    pub fn compression(&self) -> Option<Option<Compression>> {
        self.settings.compression.as_ref().map(|said| said.value)
    }

    /// The product before the `User-Agent`, if it is said.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        Some(&self.settings.user_agent.as_ref()?.value)
    }

    /// Where a key that is not there is missing.
    pub(crate) fn lacks(&self, key: &'static str) -> Origin {
        let place = self.section.as_ref().map(Origin::place).cloned();
        Origin::key(key, place.unwrap_or_default())
    }
}

plain_options!(config_options);
list_options!(config_lists);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let grammar = Grammar::of_settings("the tracing section");
        Self::by_serde(grammar.read(node, &Place::default()))
    }
}

#[cfg(test)]
#[cfg(feature = "yaml")]
mod tests;
