use std::fmt::{self, Write as _};

/// Text from elsewhere, for people to read: without control characters, so that it cannot forge
/// lines or move a terminal's cursor, and not without end.
pub(crate) struct Printable<'a> {
    text: &'a str,
    max_chars: usize,
}

// === impl Printable ===

impl<'a> Printable<'a> {
    /// All of it.
    #[cfg(any(test, feature = "console"))]
    pub(crate) const fn new(text: &'a str) -> Self {
        Self::first(usize::MAX, text)
    }

    /// So many characters of it.
    pub(crate) const fn first(max_chars: usize, text: &'a str) -> Self {
        Self { text, max_chars }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.text.chars();
        for char in chars.by_ref().take(self.max_chars) {
            match char.is_control() {
                true => write!(f, "{}", char.escape_default())?,
                false => f.write_char(char)?,
            }
        }
        match chars.next() {
            Some(_) => f.write_char('…'),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(
            Printable::new("a\nERROR b\u{1b}[0m").to_string(),
            "a\\nERROR b\\u{1b}[0m"
        );
    }

    #[test]
    fn it_ends() {
        assert_eq!(Printable::first(3, "äöü").to_string(), "äöü");
        assert_eq!(Printable::first(3, "äöüß").to_string(), "äöü…");
    }
}
