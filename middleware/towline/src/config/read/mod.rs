//! What a value must be, kind by kind.
//!
//! Each function has the value of one key, and gives what it says, or what is wrong with it: key, value, and what was
//! expected.

mod files;
mod headers;
mod lists;
mod pairs;

use std::time::Duration;

use towline_otlp::{Compression, Endpoint, EndpointError};
use towline_sampler::Rate;

pub(crate) use self::files::{files, key_pairs};
pub(crate) use self::headers::{Headers, headers};
pub(crate) use self::lists::{
    header_name, header_names, limit, paths, propagators, query_keys, trust,
};
pub(crate) use self::pairs::{Attributes, attributes};
use super::node::{Node, Value};
use super::origin::Origin;
use super::problem::{Problem, Problems};
use super::quantity;
use super::said::Said;
use crate::StartErrorKind;

/// The value of a key that is there, and not empty.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

// === impl Entry ===

impl Entry {
    /// Notes that the value is another than was expected.
    pub(crate) fn is_wrong(&self, problems: &mut Problems, expected: &str) {
        let rest = format!(" is {}: expected {expected}", self.node.value);
        problems.push(Problem::of(StartErrorKind::Config, &self.origin, rest));
    }

    fn said<T>(self, value: T) -> Said<T> {
        Said::new(value, self.origin)
    }

    /// The value that `read` makes of the text.
    fn parsed<T>(
        self,
        problems: &mut Problems,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Said<T>> {
        match self.node.as_text().and_then(read) {
            Some(value) => Some(self.said(value)),
            None => {
                self.is_wrong(problems, expected);
                None
            }
        }
    }
}

/// A [YAML 1.1 boolean](https://yaml.org/type/bool.html), in any case and whether quoted or not.
pub(crate) fn boolean(entry: Entry, problems: &mut Problems) -> Option<Said<bool>> {
    let known = match &entry.node.value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" | "on" => Some(true),
            "n" | "no" | "false" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    };
    if known.is_none() {
        entry.is_wrong(problems, "yes or no (or true, false, on, off)");
    }
    known.map(|value| entry.said(value))
}

/// A rate per million.
pub(crate) fn rate(entry: Entry, problems: &mut Problems) -> Option<Said<Rate>> {
    let rate = match entry.node.value {
        Value::Integer(count) => u32::try_from(count)
            .ok()
            .and_then(|count| Rate::per_million(count).ok()),
        _ => None,
    };
    if rate.is_none() {
        entry.is_wrong(problems, "a whole number from 0 (none) to 1000000 (all)");
    }
    rate.map(|rate| entry.said(rate))
}

/// An exporter URL.
pub(crate) fn exporter_url(
    entry: Entry,
    problems: &mut Problems,
) -> Option<Said<Result<Endpoint, EndpointError>>> {
    let Some(url) = entry.node.as_text() else {
        entry.is_wrong(problems, "a URL such as grpc://collector:4317");
        return None;
    };
    match Endpoint::parse(url) {
        Ok(endpoint) => Some(entry.said(Ok(endpoint))),
        Err(error) => {
            // It shows the URL itself, without the secrets in it.
            let rest = format!(": {error}");
            problems.push(Problem::of(StartErrorKind::Exporter, &entry.origin, rest));
            None
        }
    }
}

/// A text.
pub(crate) fn text(entry: Entry, problems: &mut Problems) -> Option<Said<String>> {
    let expected = "a text, in quotes if it looks like something else";
    entry.parsed(problems, expected, |text| Some(text.to_owned()))
}

/// The name of a compression; `none` is one, too.
pub(crate) fn compression(
    entry: Entry,
    problems: &mut Problems,
) -> Option<Said<Option<Compression>>> {
    entry.parsed(problems, "gzip, zstd or none", |text| match text {
        "none" => Some(None),
        name => name.parse().ok().map(Some),
    })
}

/// A time that may be zero.
pub(crate) fn duration(entry: Entry, problems: &mut Problems) -> Option<Said<Duration>> {
    entry.parsed(
        problems,
        "a time with its unit (ms, s, m, h or d), such as 500ms or 10s, up to 365d",
        quantity::duration,
    )
}

/// A time longer than zero.
pub(crate) fn some_duration(entry: Entry, problems: &mut Problems) -> Option<Said<Duration>> {
    entry.parsed(
        problems,
        "a time above 0 with its unit (ms, s, m, h or d), such as 500ms or 10s, up to 365d",
        |text| quantity::duration(text).filter(|time| !time.is_zero()),
    )
}

/// A size of at least `MIN` bytes.
pub(crate) fn bytes<const MIN: usize>(
    entry: Entry,
    problems: &mut Problems,
) -> Option<Said<usize>> {
    let bytes = match &entry.node.value {
        Value::Integer(count) => usize::try_from(*count).ok(),
        Value::Text(text) => quantity::bytes(text),
        _ => None,
    };
    let bytes = bytes.filter(|bytes| *bytes >= MIN);
    if bytes.is_none() {
        let expected = format!("a size of at least {MIN} bytes, such as 65536, 512KiB or 64MiB");
        entry.is_wrong(problems, &expected);
    }
    bytes.map(|bytes| entry.said(bytes))
}

/// A whole number from `MIN` on.
pub(crate) fn count<const MIN: usize>(
    entry: Entry,
    problems: &mut Problems,
) -> Option<Said<usize>> {
    let count = match &entry.node.value {
        Value::Integer(count) => usize::try_from(*count).ok(),
        _ => None,
    };
    let count = count.filter(|count| (MIN..=MAX_COUNT).contains(count));
    if count.is_none() {
        let expected = format!("a whole number from {MIN} to {MAX_COUNT}");
        entry.is_wrong(problems, &expected);
    }
    count.map(|count| entry.said(count))
}

/// What OpenTelemetry's counts are at most: they are `u32` in its SDK and `int32` in many others.
const MAX_COUNT: usize = i32::MAX as usize;
