use std::time::Duration;

use towline_forwarder::{Limits, Stamp};

use super::{BYTES, TIME};
use crate::problems::{Mapping, Problems};
use crate::units;
use crate::yaml::Value;

/// What a sender can cost: [`Limits`], and what is the server's to limit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LimitSettings {
    pub(crate) max_request_bytes: usize,
    pub(crate) max_held_bytes: usize,
    pub(crate) max_requests: usize,
    pub(crate) max_spans: usize,
    /// Spans per second of one sender, and how many at once.
    pub(crate) rate: Option<(u32, u32)>,
    pub(crate) idle_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) head_timeout: Duration,
}

// === impl LimitSettings ===

impl LimitSettings {
    pub(super) fn read(section: &Mapping<'_>, problems: &mut Problems) -> Self {
        let limits = section.section("limits", LIMITS, problems);
        let rate = rate(&limits, problems);
        let mut bytes = |key, default| limits.or(key, BYTES, problems, units::bytes, || default);
        let (max_request_bytes, max_held_bytes) = (
            bytes("max_request_bytes", 64 << 20),
            bytes("max_held_bytes", 256 << 20),
        );
        if max_held_bytes < max_request_bytes {
            limits.wrong(
                problems,
                format_args!(
                    "has a `max_held_bytes` of {}, less than `max_request_bytes`: expected room for a request",
                    units::in_bytes(max_held_bytes)
                ),
            );
        }
        let mut count =
            |key, default| limits.or(key, COUNT, problems, units::count::<usize>, || default);
        let (max_requests, max_spans) = (
            count("max_requests", 1_000),
            count("max_spans", Stamp::DEFAULT_MAX_SPANS),
        );
        let max_connections = limits.or("max_connections", SOME, problems, some, || 1_000);
        let mut time = |key, seconds| {
            limits.or(key, TIME, problems, units::some_time, || {
                Duration::from_secs(seconds)
            })
        };
        Self {
            max_request_bytes,
            max_held_bytes,
            max_requests,
            max_spans,
            rate,
            idle_timeout: time("idle_timeout", 5),
            timeout: time("timeout", 10),
            max_timeout: time("max_timeout", 60),
            max_connections,
            head_timeout: time("head_timeout", 60),
        }
    }

    /// Those that are the forwarder's.
    pub(crate) const fn of_forwarder(&self) -> Limits {
        let limits = Limits::new()
            .max_request_bytes(self.max_request_bytes)
            .max_held_bytes(self.max_held_bytes)
            .max_requests(self.max_requests)
            .max_spans(self.max_spans)
            .idle_timeout(self.idle_timeout)
            .timeout(self.timeout)
            .max_timeout(self.max_timeout);
        match self.rate {
            Some((rate, burst)) => limits.spans_per_second(rate, burst),
            None => limits,
        }
    }
}

fn some(value: &Value) -> Option<usize> {
    units::count(value).filter(|count| *count > 0)
}

fn rate(limits: &Mapping<'_>, problems: &mut Problems) -> Option<(u32, u32)> {
    let mut read = |key| limits.read(key, COUNT, problems, units::count::<u32>);
    match (read("spans_per_second"), read("spans_at_once")) {
        (Some(rate), burst) => {
            let burst = burst.map_or(rate.value, |burst| burst.value);
            Some((rate.value, burst))
        }
        (None, Some(burst)) => {
            problems.with(
                &burst,
                "has no effect without `spans_per_second`: expected both or none",
            );
            None
        }
        (None, None) => None,
    }
}

pub(super) const LIMITS: &[&str] = &[
    "max_request_bytes",
    "max_held_bytes",
    "max_requests",
    "max_spans",
    "spans_per_second",
    "spans_at_once",
    "idle_timeout",
    "timeout",
    "max_timeout",
    "max_connections",
    "head_timeout",
];

const COUNT: &str = "a whole number that is not below 0";
const SOME: &str = "a whole number above 0";
