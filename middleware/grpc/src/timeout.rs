use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

/// When a call is due, as far as it is known here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// The sooner of the caller's `grpc-timeout` and a limit of the server's own, both from now.
    pub(crate) fn new(headers: &HeaderMap, own: Option<Duration>) -> Self {
        let asked = headers
            .get(GRPC_TIMEOUT)
            .and_then(|value| parse(value.as_bytes()));
        let sooner = match (asked, own) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (asked, own) => asked.or(own),
        };
        Self(sooner.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Whether it has passed, give or take what a timer and a wake-up cost.
    pub(crate) fn has_passed(self) -> bool {
        self.0
            .is_some_and(|deadline| deadline <= Instant::now() + TOLERANCE)
    }
}

/// A `grpc-timeout`: one to eight digits and a unit.
///
/// See [gRPC over HTTP/2, requests](https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md#requests).
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits
        .iter()
        .fold(0_u64, |count, digit| count * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A call that is dropped this short before its deadline was dropped because of it: timers fire on
/// the millisecond.
const TOLERANCE: Duration = Duration::from_millis(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_nothing_else() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("-1S", None),
            ("1s", None),
            (" 1S", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn the_sooner_limit_counts_and_none_never_passes() {
        let mut headers = HeaderMap::new();
        let hour = Some(Duration::from_secs(3600));
        assert!(!Deadline::new(&headers, None).has_passed());
        assert!(!Deadline::new(&headers, hour).has_passed());
        assert!(Deadline::new(&headers, Some(Duration::ZERO)).has_passed());
        headers.insert("grpc-timeout", "0n".parse().unwrap());
        assert!(Deadline::new(&headers, hour).has_passed());
        headers.insert("grpc-timeout", "99999999H".parse().unwrap());
        assert!(!Deadline::new(&headers, None).has_passed());
    }
}
