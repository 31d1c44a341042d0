//! What somebody may have meant by a name that is not known.

/// The known name that is nearest to `given`, if any is near.
pub(super) fn nearest(given: &str, known: &[&'static str]) -> Option<&'static str> {
    if given.len() > MAX_CHARS {
        return None;
    }
    let plain = plain(given);
    let similar = |name: &&&'static str| {
        let name = self::plain(name);
        name == plain || plain.len() >= MIN_PREFIX && name.starts_with(&plain)
    };
    known.iter().find(similar).copied().or_else(|| {
        known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(given, name), *name))
            .filter(|(distance, name)| *distance <= (name.len() / 4).max(1))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| name)
    })
}

/// Without what differs between the styles of writing names.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|char| !matches!(char, '_' | '-' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Longer than any key; it bounds the work.
const MAX_CHARS: usize = 64;

const MIN_PREFIX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_another_style_a_beginning_or_a_slip() {
        let known = [
            "enabled",
            "exporter_url",
            "sampling_rate_per_million",
            "ca_certs",
            "keypairs",
        ];
        for (given, expected) in [
            ("enable", Some("enabled")),
            ("enabeld", Some("enabled")),
            ("Enabled", Some("enabled")),
            ("samplingRatePerMillion", Some("sampling_rate_per_million")),
            ("sampling_rate", Some("sampling_rate_per_million")),
            ("exporter-url", Some("exporter_url")),
            ("exporterurl", Some("exporter_url")),
            ("ca_cert", Some("ca_certs")),
            ("keypair", Some("keypairs")),
            ("key_pairs", Some("keypairs")),
            ("on", None),
            ("", None),
            ("endpoint", None),
        ] {
            assert_eq!(nearest(given, &known), expected, "{given}");
        }
        assert_eq!(nearest(&"enabled".repeat(1000), &known), None);
    }
}
