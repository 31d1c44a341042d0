//! What a user hears on stderr of the tracing.

use std::error::Error;
use std::io::{self, Write};

/// Says it, on one line.
pub(super) fn tell(program: &str, what: &str) {
    // Whoever has closed stderr does not want to hear it.
    let _ = io::stderr()
        .lock()
        .write_all(line(program, what).as_bytes());
}

/// An error and its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| text.len() < MAX_LINE_BYTES) {
        let cause = error.to_string();
        // Some errors have told theirs already.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

/// One line, whatever is in it.
fn line(program: &str, what: &str) -> String {
    let text = format!("{program}: tracing: {what}");
    let text = towline_span::truncate(&text, MAX_LINE_BYTES);
    let mut line: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    line.push('\n');
    line
}

const MAX_LINE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_line_whatever_is_in_it() {
        assert_eq!(line("tool", "a\nb\u{1b}[31m"), "tool: tracing: a b [31m\n");
        assert_eq!(line("tool", &"é".repeat(2000)).len(), MAX_LINE_BYTES);
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug)]
        struct Told(&'static str, Option<Box<Self>>);
        impl std::fmt::Display for Told {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Told {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.1.as_deref().map(|source| source as _)
            }
        }
        let refused = Told("refused", None);
        let connect = Told("cannot connect: refused", Some(Box::new(refused)));
        let error = Told("cannot send", Some(Box::new(connect)));
        assert_eq!(chain(&error), "cannot send: cannot connect: refused");
    }
}
