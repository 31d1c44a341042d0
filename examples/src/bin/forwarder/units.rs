//! Values with a unit, as they are written in a configuration.

use std::time::Duration;

use crate::yaml::Value;

/// A [YAML 1.1 boolean](https://yaml.org/type/bool.html), in any case and whether quoted or not.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" | "on" => Some(true),
            "n" | "no" | "false" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number that is not below 0.
pub(crate) fn count<N: TryFrom<i128>>(value: &Value) -> Option<N> {
    match value {
        Value::Integer(count) if *count >= 0 => N::try_from(*count).ok(),
        _ => None,
    }
}

/// A number of bytes: alone, or with one of the units of [`UNITS`].
pub(crate) fn bytes(value: &Value) -> Option<usize> {
    let Value::Text(text) = value else {
        return count(value);
    };
    let (number, unit) = UNITS.iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?;
        Some((number.trim_end(), *bytes))
    })?;
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// A number of bytes in the largest unit that leaves no rest.
pub(crate) fn in_bytes(bytes: usize) -> String {
    UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes} bytes"),
            |(name, unit)| format!("{} {name}", bytes / unit),
        )
}

/// A length of time, such as `20ms` or `1m 30s`. A number alone has no unit, and is none.
pub(crate) fn duration(value: &Value) -> Option<Duration> {
    let duration = humantime::parse_duration(value.as_text()?).ok()?;
    // Clocks overflow somewhere beyond, and nobody waits for so long.
    (duration <= MAX_DURATION).then_some(duration)
}

/// [`duration`], of more than nothing.
pub(crate) fn some_time(value: &Value) -> Option<Duration> {
    duration(value).filter(|duration| !duration.is_zero())
}

/// A length of time, as it can be written.
pub(crate) fn in_time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Largest first.
const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn bytes_have_a_unit_or_none() {
        for (value, expected) in [
            (Value::Integer(0), Some(0)),
            (Value::Integer(65_536), Some(65_536)),
            (text("64MiB"), Some(64 << 20)),
            (text("64 MiB"), Some(64 << 20)),
            (text("3KiB"), Some(3 << 10)),
            (text("1GiB"), Some(1 << 30)),
            (Value::Integer(-1), None),
            (Value::Integer(i128::MAX), None),
            (Value::Float(1.5), None),
            (text("1.5MiB"), None),
            (text("-1MiB"), None),
            (text("64MB"), None),
            (text("MiB"), None),
            (text("99999999999999999999GiB"), None),
            (text("17179869184GiB"), None),
            (text("64"), None),
        ] {
            assert_eq!(bytes(&value), expected, "{value}");
        }
    }

    #[test]
    fn bytes_are_shown_in_a_unit_that_leaves_no_rest() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1_000, "1000 bytes"),
            (1 << 10, "1 KiB"),
            (64 << 20, "64 MiB"),
            ((1 << 20) + (1 << 10), "1025 KiB"),
            (2 << 30, "2 GiB"),
        ] {
            assert_eq!(in_bytes(bytes), expected);
        }
    }

    #[test]
    fn times_have_a_unit() {
        for (value, expected) in [
            (text("20ms"), Some(Duration::from_millis(20))),
            (text("1m 30s"), Some(Duration::from_secs(90))),
            (text("0s"), Some(Duration::ZERO)),
            (text("24h"), Some(MAX_DURATION)),
            (text("25h"), None),
            (text("5"), None),
            (text("-5s"), None),
            (text("soon"), None),
            (Value::Integer(5), None),
        ] {
            assert_eq!(duration(&value), expected, "{value}");
        }
        assert_eq!(some_time(&text("0s")), None);
        assert_eq!(in_time(Duration::from_millis(1_500)), "1s 500ms");
    }

    #[test]
    fn counts_are_whole_and_fit() {
        assert_eq!(count::<u32>(&Value::Integer(0)), Some(0));
        assert_eq!(count::<u32>(&Value::Integer(4_294_967_296)), None);
        assert_eq!(count::<u32>(&Value::Integer(-1)), None);
        assert_eq!(count::<u32>(&text("5")), None);
    }
}
