//! What a value of the section must be, key by key. Errors are texts that name key, value and what was expected.

use std::path::PathBuf;

use towline_otlp::Endpoint;
use towline_sampler::Rate;

use super::KeyPair;
use super::value::Value;

/// A [YAML 1.1 boolean](https://yaml.org/type/bool.html), in any case and whether quoted or not.
pub(super) fn boolean(key: &str, value: Value) -> Result<Option<bool>, String> {
    if value.is_nothing() {
        return Ok(None);
    }
    let known = match &value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" | "on" => Some(true),
            "n" | "no" | "false" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    };
    known
        .map(Some)
        .ok_or_else(|| format!("`{key}` is {value}: expected yes or no (or true, false, on, off)"))
}

/// A rate per million.
pub(super) fn rate(key: &str, value: Value) -> Result<Option<Rate>, String> {
    if value.is_nothing() {
        return Ok(None);
    }
    let rate = match value {
        Value::Integer(count) => u32::try_from(count)
            .ok()
            .and_then(|count| Rate::per_million(count).ok()),
        _ => None,
    };
    rate.map(Some).ok_or_else(|| {
        format!("`{key}` is {value}: expected a whole number from 0 (none) to 1000000 (all)")
    })
}

/// An exporter URL.
pub(super) fn exporter_url(key: &str, value: Value) -> Result<Option<Endpoint>, String> {
    text(key, value, "a URL such as grpc://collector:4317")?
        .map(|url| Endpoint::parse(&url).map_err(|error| format!("`{key}`: {error}")))
        .transpose()
}

/// The name of the service.
pub(super) fn service_name(key: &str, value: Value) -> Result<Option<String>, String> {
    text(
        key,
        value,
        "a text, in quotes if it looks like something else",
    )
}

/// A list of files.
pub(super) fn files(key: &str, value: Value) -> Result<Option<Vec<PathBuf>>, String> {
    let Some(list) = list(key, value, "a list of files, such as [/etc/app/ca.pem]")? else {
        return Ok(None);
    };
    let files = list
        .into_iter()
        .enumerate()
        .map(|(index, value)| file(&format!("{key}[{index}]"), value));
    files.collect::<Result<_, _>>().map(Some)
}

/// A list of key pairs.
pub(super) fn key_pairs(key: &str, value: Value) -> Result<Option<Vec<KeyPair>>, String> {
    let Some(list) = list(key, value, EXPECTED_KEY_PAIRS)? else {
        return Ok(None);
    };
    let pairs = list
        .into_iter()
        .enumerate()
        .map(|(index, value)| key_pair(&format!("{key}[{index}]"), value));
    pairs.collect::<Result<_, _>>().map(Some)
}

fn key_pair(key: &str, value: Value) -> Result<KeyPair, String> {
    let Value::Map(pairs) = value else {
        return Err(format!("`{key}` is {value}: expected {EXPECTED_KEY_PAIR}"));
    };
    let (mut key_file, mut cert_file) = (None, None);
    for (name, value) in pairs {
        let slot = match name.as_str() {
            "key_file" => &mut key_file,
            "cert_file" => &mut cert_file,
            _ => {
                return Err(format!(
                    "`{key}` has the unknown key `{name}`: expected {EXPECTED_KEY_PAIR}"
                ));
            }
        };
        if slot
            .replace(file(&format!("{key}.{name}"), value)?)
            .is_some()
        {
            return Err(format!("`{key}.{name}` is given twice: expected it once"));
        }
    }
    match (key_file, cert_file) {
        (Some(key_file), Some(cert_file)) => Ok(KeyPair::new(key_file, cert_file)),
        (None, _) => Err(format!(
            "`{key}` has no `key_file`: expected {EXPECTED_KEY_PAIR}"
        )),
        (_, None) => Err(format!(
            "`{key}` has no `cert_file`: expected {EXPECTED_KEY_PAIR}"
        )),
    }
}

fn file(key: &str, value: Value) -> Result<PathBuf, String> {
    match value {
        Value::Text(path) if !path.is_empty() => Ok(path.into()),
        _ => Err(format!(
            "`{key}` is {value}: expected the path of a PEM file"
        )),
    }
}

fn text(key: &str, value: Value, expected: &str) -> Result<Option<String>, String> {
    match value {
        _ if value.is_nothing() => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        _ => Err(format!("`{key}` is {value}: expected {expected}")),
    }
}

fn list(key: &str, value: Value, expected: &str) -> Result<Option<Vec<Value>>, String> {
    match value {
        _ if value.is_nothing() => Ok(None),
        Value::List(list) => Ok(Some(list)),
        _ => Err(format!("`{key}` is {value}: expected {expected}")),
    }
}

const EXPECTED_KEY_PAIR: &str = "a mapping of `key_file` and `cert_file`";

const EXPECTED_KEY_PAIRS: &str = "a list of mappings of `key_file` and `cert_file`";
