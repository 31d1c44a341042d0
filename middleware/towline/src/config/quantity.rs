//! Times and sizes, as a configuration writes them: a whole number and its unit.

use std::time::Duration;

/// A time such as `500ms`, `10s`, `5m`, `2h` or `7d`, of at most [`MAX_TIME`].
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (count, unit) = split(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    let time = Duration::from_millis(count.checked_mul(unit_ms)?);
    Some(time).filter(|time| *time <= MAX_TIME)
}

/// A size in bytes such as `65536`, `512KiB`, `64MiB` or `1GB`.
pub(super) fn bytes(text: &str) -> Option<usize> {
    let (count, unit) = split(text)?;
    let unit_bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(unit_bytes)?.try_into().ok()
}

/// As [`duration`] reads it, in the largest unit that fits.
pub(crate) fn shown_duration(time: Duration) -> String {
    let ms = time.as_millis();
    if ms == 0 {
        return "0s".to_owned();
    }
    [
        (24 * 60 * 60 * 1000, "d"),
        (60 * 60 * 1000, "h"),
        (60 * 1000, "m"),
        (1000, "s"),
    ]
    .into_iter()
    .find(|(unit, _)| ms.is_multiple_of(*unit))
    .map_or_else(
        || format!("{ms}ms"),
        |(unit, name)| format!("{}{name}", ms / unit),
    )
}

/// The number, which comes first, and the unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|char: char| !char.is_ascii_digit());
    let (count, unit) = text.split_at(end.unwrap_or(text.len()));
    Some((count.parse().ok()?, unit.trim_start()))
}

/// Nobody waits longer, and sums of times cannot overflow.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("10 s", Some(10_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("365d", Some(31_536_000_000)),
            ("366d", None),
            ("10", None),
            ("s", None),
            ("", None),
            ("1.5s", None),
            ("-1s", None),
            ("1m30s", None),
            ("10S", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(
                duration(text),
                expected.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_bytes_unless_they_say_otherwise() {
        for (text, expected) in [
            ("65536", Some(65536)),
            ("1B", Some(1)),
            ("2KiB", Some(2048)),
            ("2kb", Some(2000)),
            ("64MiB", Some(64 << 20)),
            ("1 GB", Some(1_000_000_000)),
            ("1GiB", Some(1 << 30)),
            ("64M", None),
            ("64Mi", None),
            ("MiB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_is_shown_as_it_is_read() {
        for text in ["0s", "1ms", "1500ms", "10s", "90s", "2m", "3h", "7d"] {
            assert_eq!(shown_duration(duration(text).unwrap()), text);
        }
    }
}
