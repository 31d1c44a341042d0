use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Reads [`OTEL_RESOURCE_ATTRIBUTES`]: `key=value` pairs between commas, percent-encoded.
///
/// A later pair wins over an earlier one of the same key. An equals sign in a value should be encoded; where it is not,
/// it cannot be mistaken for anything else.
///
/// [`OTEL_RESOURCE_ATTRIBUTES`]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/resource/sdk.md#specifying-resource-information-via-an-environment-variable
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for member in text.split(',').map(str::trim) {
        if member.is_empty() {
            continue;
        }
        let Some((key, value)) = member.split_once('=') else {
            return Err(format!("{member:?} has no `=`: expected key=value"));
        };
        let (key, value) = (decoded(key.trim_end())?, decoded(value.trim_start())?);
        if key.is_empty() {
            return Err(format!("{member:?} has no key: expected key=value"));
        }
        attributes.retain(|(known, _)| *known != key);
        attributes.push((key.into_owned(), value.into_owned()));
    }
    Ok(attributes)
}

fn decoded(text: &str) -> Result<Cow<'_, str>, String> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        rest = rest.get(at + 1..).unwrap_or_default();
        let digits = rest.get(..2).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!(
                "{text:?} has a stray `%`: expected %25 or another percent-encoding"
            ));
        }
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| format!("{text:?} is not text once decoded: expected UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &[(&str, &str)]) {
        let read = parse(text).unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn reads_pairs_between_commas() {
        reads("", &[]);
        reads("a=1", &[("a", "1")]);
        reads(" a = 1 , b=2,", &[("a", "1"), ("b", "2")]);
        reads("a=", &[("a", "")]);
        reads("a=1,b=2,a=3", &[("b", "2"), ("a", "3")]);
        reads("a=b=c", &[("a", "b=c")]);
    }

    #[test]
    fn decodes_percent_encoding_in_keys_and_values() {
        reads("a%2Cb=c%3Dd%25%20e", &[("a,b", "c=d% e")]);
        reads("city=Z%C3%BCrich", &[("city", "Zürich")]);
        reads("city=Zürich", &[("city", "Zürich")]);
    }

    #[test]
    fn one_error_discards_everything() {
        for (text, expected) in [
            ("a=1,b", "\"b\" has no `=`"),
            ("a=1,=2", "\"=2\" has no key"),
            ("a=100%", "\"100%\" has a stray `%`"),
            ("a=%2", "stray"),
            ("a=%zz", "stray"),
            ("a=%C3", "UTF-8"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
