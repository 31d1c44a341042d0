//! Optional white space (`OWS`: spaces and horizontal tabs) around the parts of a header value.

/// `bytes` without the spaces and tabs at both of its ends.
pub(crate) const fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::trim;

    #[test]
    fn trims_spaces_and_tabs_and_nothing_else() {
        assert_eq!(trim(b" \t a \t b\t "), b"a \t b");
        assert_eq!(trim(b" \t \t"), b"");
        assert_eq!(trim(b""), b"");
        assert_eq!(trim(b"\x0ba\r\n"), b"\x0ba\r\n");
    }
}
