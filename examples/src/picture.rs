//! A trace as two pictures: a tree, and a waterfall that is true to time.

use std::fmt::Write;
use std::time::Duration;

use towline_forwarder::stamp::FORWARDED_FOR;

use crate::spans::Span;

/// The spans of one trace, each with its depth, parents before their children.
pub fn ordered(spans: &[Span]) -> Vec<(usize, &Span)> {
    let is_root = |span: &Span| {
        span.parent_id.is_empty() || !spans.iter().any(|s| s.span_id == span.parent_id)
    };
    let mut ordered = Vec::with_capacity(spans.len());
    for root in spans.iter().filter(|span| is_root(span)) {
        descend(spans, root, 0, &mut ordered);
    }
    ordered
}

fn descend<'a>(
    spans: &'a [Span],
    span: &'a Span,
    depth: usize,
    ordered: &mut Vec<(usize, &'a Span)>,
) {
    // A span that is its own ancestor would have no end; a file may say anything.
    if depth > spans.len() {
        return;
    }
    ordered.push((depth, span));
    for child in spans.iter().filter(|child| child.parent_id == span.span_id) {
        descend(spans, child, depth + 1, ordered);
    }
}

/// The tree of a trace: service and name of each span under its parent.
pub fn tree(spans: &[Span]) -> String {
    let ordered = ordered(spans);
    let mut picture = String::new();
    for (row, (depth, span)) in ordered.iter().enumerate() {
        let mut indent = String::new();
        for level in 1..=*depth {
            let more = continues(ordered.get(row + 1..).unwrap_or_default(), level);
            indent.push_str(match (level == *depth, more) {
                (true, true) => "├─ ",
                (true, false) => "└─ ",
                (false, true) => "│  ",
                (false, false) => "   ",
            });
        }
        let note = note(span);
        let _ = writeln!(picture, "  {indent}{}: {}{note}", span.service, span.name);
    }
    picture
}

/// Whether a later row hangs on the same branch at this level.
fn continues(later: &[(usize, &Span)], level: usize) -> bool {
    later
        .iter()
        .take_while(|(depth, _)| *depth >= level)
        .any(|(depth, _)| *depth == level)
}

/// The same trace over time: each bar begins and ends where its span does.
pub fn waterfall(spans: &[Span]) -> String {
    let ordered = ordered(spans);
    let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
    let total = (end - start).max(1);
    let column = |at: u64| {
        let at = u128::from(at - start) * WIDTH as u128 / u128::from(total);
        usize::try_from(at).unwrap_or(WIDTH).min(WIDTH)
    };
    let mut picture = String::new();
    let scale = "–––––––|".repeat(WIDTH / 8);
    let _ = writeln!(picture, "  |{scale}–> time, {} in all", milliseconds(total));
    for (_, span) in ordered {
        let (from, to) = (column(span.start), column(span.end));
        let label = format!("{}: {}", span.service, span.name);
        let room = (to - from).saturating_sub(2);
        let (inside, outside) = if label.chars().count() <= room {
            (label, String::new())
        } else {
            (String::new(), label)
        };
        let bar = if to > from + 1 {
            format!("[{inside:·<room$}]")
        } else {
            "|".to_owned()
        };
        let took = milliseconds(span.end.saturating_sub(span.start));
        let _ = writeln!(
            picture,
            "  {:from$}{bar} {outside}{}{took}",
            "",
            if outside.is_empty() { "" } else { "  " }
        );
    }
    picture
}

/// What is worth saying of a span behind its name.
fn note(span: &Span) -> String {
    let mut note = String::new();
    if span.kind != "internal" {
        let _ = write!(note, "  {}", span.kind);
    }
    let status = ["http.response.status_code", "rpc.response.status_code"];
    if let Some(status) = status.iter().find_map(|key| span.attributes.get(*key)) {
        let _ = write!(note, " {status}");
    }
    if span.error {
        note.push_str("  error");
    }
    if let Some(outcome) = span.attributes.get("towline.outcome") {
        let _ = write!(note, "  {outcome}");
    }
    if let Some(sender) = span.attributes.get(FORWARDED_FOR) {
        let _ = write!(note, "  {FORWARDED_FOR}={sender}");
    }
    note
}

fn milliseconds(nanoseconds: u64) -> String {
    let took = Duration::from_nanos(nanoseconds);
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// How many columns the longest span takes.
const WIDTH: usize = 72;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn span(id: &str, parent: &str, start: u64, end: u64) -> Span {
        Span {
            service: "s".to_owned(),
            name: id.to_owned(),
            kind: "internal",
            trace_id: "t".to_owned(),
            span_id: id.to_owned(),
            parent_id: parent.to_owned(),
            start,
            end,
            error: false,
            attributes: HashMap::new(),
        }
    }

    fn family() -> Vec<Span> {
        vec![
            span("a", "", 0, 100),
            span("b", "a", 10, 60),
            span("d", "b", 20, 50),
            span("c", "a", 30, 90),
            span("e", "c", 40, 41),
        ]
    }

    #[test]
    fn the_tree_shows_who_called_whom() {
        let expected = "  s: a\n  ├─ s: b\n  │  └─ s: d\n  └─ s: c\n     └─ s: e\n";
        assert_eq!(tree(&family()), expected);
    }

    #[test]
    fn the_waterfall_is_true_to_time() {
        let picture = waterfall(&family());
        let rows: Vec<_> = picture.lines().skip(1).collect();
        let left = |row: &str| row.chars().position(|c| c == '[' || c == '|').unwrap();
        assert_eq!(
            rows.iter().map(|row| left(row)).collect::<Vec<_>>(),
            [2, 9, 16, 23, 30]
        );
        assert!(rows[0].contains("[s: a·"));
        assert!(rows[4].contains("| s: e"));
    }

    #[test]
    fn a_span_that_is_its_own_parent_does_no_harm() {
        let spans = [span("a", "b", 0, 1), span("b", "a", 0, 1)];
        assert_eq!(tree(&spans), "");
        assert!(waterfall(&[]).contains("time"));
    }
}
