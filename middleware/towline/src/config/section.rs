use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::Value;
use super::{Config, setting};

/// The section, with every key known and every value of the right kind; `None` where it is null.
pub(super) struct Section {
    /// What to call it.
    name: &'static str,
}

/// The value of one key, read by `read`.
struct Setting<F> {
    key: &'static str,
    read: F,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let section = Section::named("the tracing section").deserialize(deserializer)?;
        Ok(section.unwrap_or_default())
    }
}

// === impl Section ===

impl Section {
    pub(super) const fn named(name: &'static str) -> Self {
        Self { name }
    }

    fn no_mapping<T, E: Error>(self, value: Value) -> Result<T, E> {
        let Self { name } = self;
        Err(E::custom(format!(
            "{name} is {value}: expected a mapping of keys such as `enabled`"
        )))
    }
}

impl<'de> DeserializeSeed<'de> for Section {
    type Value = Option<Config>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<Config>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Section {
    type Value = Option<Config>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, a mapping of keys such as `enabled`", self.name)
    }

    fn visit_unit<E>(self) -> Result<Option<Config>, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Option<Config>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Config>, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Option<Config>, E> {
        self.no_mapping(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<Config>, E> {
        self.no_mapping(Value::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<Config>, E> {
        self.no_mapping(Value::Integer(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Option<Config>, E> {
        self.no_mapping(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _seq: A) -> Result<Option<Config>, A::Error> {
        self.no_mapping(Value::List(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Config>, A::Error> {
        let mut config = Config::new();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(&known) = KEYS.iter().find(|known| **known == key) else {
                return Err(A::Error::unknown_field(&key, KEYS));
            };
            // The two spellings of one setting count as one.
            let canonical = if known == KEYPAIRS {
                HTTPS_KEYPAIRS
            } else {
                known
            };
            if seen.contains(&canonical) {
                return Err(A::Error::custom(match canonical {
                    HTTPS_KEYPAIRS => {
                        "`https_keypairs`, or its other name `keypairs`, is given twice: expected it once".to_owned()
                    }
                    _ => format!("`{canonical}` is given twice: expected it once"),
                }));
            }
            seen.push(canonical);
            match known {
                ENABLED => {
                    config.enabled = map.next_value_seed(Setting::new(known, setting::boolean))?
                }
                EXPORTER_URL => {
                    let endpoint =
                        map.next_value_seed(Setting::new(known, setting::exporter_url))?;
                    config.exporter_url = endpoint.map(Ok);
                }
                SAMPLING_RATE => {
                    config.sampling_rate =
                        map.next_value_seed(Setting::new(known, setting::rate))?;
                }
                CA_CERTS => {
                    let files = map.next_value_seed(Setting::new(known, setting::files))?;
                    config.ca_certs = files.unwrap_or_default();
                }
                SERVICE_NAME => {
                    config.service_name =
                        map.next_value_seed(Setting::new(known, setting::service_name))?;
                }
                _ => {
                    let pairs = map.next_value_seed(Setting::new(known, setting::key_pairs))?;
                    config.https_keypairs = pairs.unwrap_or_default();
                }
            }
        }
        Ok(Some(config))
    }
}

// === impl Setting ===

impl<F> Setting<F> {
    const fn new(key: &'static str, read: F) -> Self {
        Self { key, read }
    }
}

impl<'de, F, T> DeserializeSeed<'de> for Setting<F>
where
    F: FnOnce(&str, Value) -> Result<T, String>,
{
    type Value = T;

    // The error is raised while the value is being read, so that the format knows where it stands.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let value = Value::deserialize(deserializer)?;
        (self.read)(self.key, value).map_err(D::Error::custom)
    }
}

const ENABLED: &str = "enabled";
const EXPORTER_URL: &str = "exporter_url";
const SAMPLING_RATE: &str = "sampling_rate_per_million";
const CA_CERTS: &str = "ca_certs";
const HTTPS_KEYPAIRS: &str = "https_keypairs";
/// As Teleport's code has it; its documentation has the other.
const KEYPAIRS: &str = "keypairs";
const SERVICE_NAME: &str = "service_name";

const KEYS: &[&str] = &[
    ENABLED,
    EXPORTER_URL,
    SAMPLING_RATE,
    CA_CERTS,
    HTTPS_KEYPAIRS,
    KEYPAIRS,
    SERVICE_NAME,
];
