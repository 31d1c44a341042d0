//! `baggage`: the limits hold, what is written is legal, and what was written is read.

use towline_propagation::baggage::{MAX_BYTES, MAX_MEMBERS, decode, encode};

#[test]
fn baggage() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let shown = text.escape_ascii().to_string();
        let decoded = decode(text.split(|byte| *byte == b'\n'));
        assert!(decoded.len() <= MAX_MEMBERS, "{shown:?}");

        let written = encode(&decoded);
        assert!(written.len() <= MAX_BYTES, "{shown:?}");
        assert!(
            written
                .bytes()
                .all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'),
            "{shown:?}"
        );
        let members: Vec<&str> = written
            .split(',')
            .filter(|member| !member.is_empty())
            .collect();
        assert!(
            members.iter().all(|member| plainly(member)),
            "{shown:?}: {written:?}"
        );

        let again = decode([written.as_bytes()]);
        assert_eq!(again.len(), members.len(), "{shown:?}");
        assert_eq!(encode(&again), written, "{shown:?}");
        for (key, pair) in &again {
            assert_eq!(decoded.get_with_metadata(key), Some(pair), "{shown:?}");
        }
        // Nothing is lost that fits. (A byte that is not UTF-8, and a lone percent sign, take more room in
        // the header than they came in.)
        let grows = decoded
            .iter()
            .any(|(_, (value, _))| value.as_str().contains(['\u{fffd}', '%']));
        if text.len() <= MAX_BYTES && !grows {
            assert_eq!(again.len(), decoded.len(), "{shown:?}");
        }
    });
}

/// Whether `member` is legal, the slow way.
fn plainly(member: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    let mut parts = member.split(';');
    let legal = parts
        .next()
        .and_then(|pair| pair.split_once('='))
        .is_some_and(|(key, _)| token(key));
    legal && parts.all(|property| token(property.split_once('=').map_or(property, |(key, _)| key)))
}

const WORDS: &[&str] = &[
    "=",
    ",",
    ";",
    "\n",
    "%",
    "%2C",
    "%25",
    "2C",
    "%C3%A9",
    "%ff",
    " ",
    "\t",
    "\"",
    "\\",
    "a",
    "a=1,",
    "b=2;",
    "user=Am%C3%A9lie;ttl=5,",
    "key=",
    "=;",
    "k1=v,k2=v,k3=v,k4=v,k5=v,k6=v,k7=v,k8=v,",
    "(",
    "a=b=c",
    "\u{e9}",
    "p=q;",
];
