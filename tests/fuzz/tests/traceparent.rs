//! `traceparent`: the parser against a plain reading of the specification.

use towline_propagation::TraceParent;

#[test]
fn traceparent() {
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let parsed = TraceParent::parse(text)
            .ok()
            .map(|parent| parent.to_string());
        assert_eq!(
            parsed,
            plainly(text),
            "{:?}",
            text.escape_ascii().to_string()
        );
        if let Some(written) = parsed {
            assert_eq!(written.len(), 55);
            assert_eq!(plainly(written.as_bytes()), Some(written));
        }
    });
}

/// What is to be sent for `text`, the slow way.
fn plainly(text: &[u8]) -> Option<String> {
    // Of what a later version adds nothing is known, not even that it is text.
    let text = String::from_utf8_lossy(text);
    let text = text.trim_matches([' ', '\t']);
    let (fields, rest) = text.split_at_checked(55)?;
    let [version, trace_id, parent_id, flags] =
        fields.split('-').collect::<Vec<_>>().try_into().ok()?;
    let hex = |field: &str, len| {
        field.len() == len && field.chars().all(|c| "0123456789abcdef".contains(c))
    };
    let legal = hex(version, 2) && hex(trace_id, 32) && hex(parent_id, 16) && hex(flags, 2);
    let complete = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    let zero = |field: &str| field.chars().all(|c| c == '0');
    if !legal || !complete || version == "ff" || zero(trace_id) || zero(parent_id) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()? % 4;
    Some(format!("00-{trace_id}-{parent_id}-{flags:02x}"))
}

const WORDS: &[&str] = &[
    "00-",
    "cc-",
    "ff-",
    "0af7651916cd43dd8448eb211c80319c-",
    "00000000000000000000000000000000-",
    "b7ad6b7169203331-",
    "0000000000000000-",
    "01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033",
    "-",
    "0",
    "f",
    "F",
    " ",
    "\t",
];
