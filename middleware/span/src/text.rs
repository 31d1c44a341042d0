/// The longest beginning of `text` that is at most `max_bytes` long and ends at a character.
///
/// The SDK never shortens a value; whatever comes from a peer goes through here before it becomes
/// an attribute or a description.
#[must_use]
pub fn truncate(text: &str, max_bytes: usize) -> &str {
    // `str::floor_char_boundary` is younger than our oldest compiler.
    let end = (0..=max_bytes.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character_boundary() {
        for (max_bytes, expected) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (4, "aéb"),
            (9, "aéb"),
        ] {
            assert_eq!(truncate("aéb", max_bytes), expected);
        }
        assert_eq!(truncate("", 5), "");
        assert_eq!(truncate("🦀", 3), "");
    }
}
