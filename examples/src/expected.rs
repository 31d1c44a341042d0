//! Compares a trace with the one that should be there.

use crate::spans::Span;

/// A span that must be there, and under which other.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    service: &'static str,
    kind: &'static str,
    name: &'static str,
    parent: Parent,
}

#[derive(Clone, Copy, Debug)]
enum Parent {
    /// The one that is given.
    Given,
    /// There is one, and it is not in the trace.
    Missing,
    /// The one at this place in the list.
    At(usize),
}

// === impl Expected ===

impl Expected {
    /// A span under the one at that place in the list; without a place, under the parent that is given.
    pub const fn new(
        service: &'static str,
        kind: &'static str,
        name: &'static str,
        parent: Option<usize>,
    ) -> Self {
        Self {
            service,
            kind,
            name,
            parent: match parent {
                Some(place) => Parent::At(place),
                None => Parent::Given,
            },
        }
    }

    /// A span under one that nobody has sent.
    pub const fn under_missing(
        service: &'static str,
        kind: &'static str,
        name: &'static str,
    ) -> Self {
        Self {
            service,
            kind,
            name,
            parent: Parent::Missing,
        }
    }

    fn is_like(&self, span: &Span) -> bool {
        span.service == self.service && span.kind == self.kind && span.name == self.name
    }
}

/// Compares the spans of one trace with what is expected of it, the first under `parent` (empty for
/// a root). Answers what is wrong, a line each; nothing if all is well.
pub fn check(spans: &[Span], expected: &[Expected], parent: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ids: Vec<Option<&str>> = Vec::with_capacity(expected.len());
    let is_missing = |id: &str| !id.is_empty() && spans.iter().all(|span| span.span_id != id);
    for wanted in expected {
        let mut alike = spans.iter().filter(|span| wanted.is_like(span)).peekable();
        let place = match alike.peek() {
            Some(_) => " under its parent",
            None => "",
        };
        let found = alike.find(|span| {
            let under = span.parent_id.as_str();
            match wanted.parent {
                Parent::Given => under == parent,
                Parent::Missing => is_missing(under),
                Parent::At(place) => ids.get(place).copied().flatten() == Some(under),
            }
        });
        if found.is_none() {
            wrong.push(format!(
                "no {} span \"{}\" of {}{place}",
                wanted.kind, wanted.name, wanted.service
            ));
        }
        ids.push(found.map(|span| span.span_id.as_str()));
    }
    if spans.len() != expected.len() {
        wrong.push(format!(
            "{} spans in the trace, expected {}",
            spans.len(),
            expected.len()
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::slice;

    use super::*;

    fn found(name: &str, id: &str, parent: &str) -> Span {
        Span {
            service: "s".to_owned(),
            name: name.to_owned(),
            kind: "internal",
            trace_id: String::new(),
            span_id: id.to_owned(),
            parent_id: parent.to_owned(),
            start: 0,
            end: 0,
            error: false,
            attributes: HashMap::new(),
        }
    }

    const TWO: &[Expected] = &[
        Expected::new("s", "internal", "outer", None),
        Expected::new("s", "internal", "inner", Some(0)),
    ];

    #[test]
    fn all_is_well_when_every_span_is_under_its_parent() {
        let spans = [found("outer", "1", "9"), found("inner", "2", "1")];
        assert_eq!(check(&spans, TWO, "9"), [""; 0]);
    }

    #[test]
    fn a_missing_a_stray_and_a_surplus_span_are_each_told() {
        let outer = found("outer", "1", "");
        let wrong = check(slice::from_ref(&outer), TWO, "");
        let expected = [
            "no internal span \"inner\" of s",
            "1 spans in the trace, expected 2",
        ];
        assert_eq!(wrong, expected);
        let stray = found("inner", "2", "7");
        let wrong = check(&[outer.clone(), stray], TWO, "");
        assert_eq!(wrong, ["no internal span \"inner\" of s under its parent"]);
        let spans = [outer, found("inner", "2", "1"), found("inner", "3", "1")];
        assert_eq!(check(&spans, TWO, "").len(), 1);
        assert_eq!(check(&spans[..2], TWO, "8").len(), 2);
    }

    #[test]
    fn a_parent_that_is_there_or_that_nobody_names_is_not_a_missing_one() {
        let orphan = [Expected::under_missing("s", "internal", "orphan")];
        assert_eq!(check(&[found("orphan", "1", "9")], &orphan, ""), [""; 0]);
        assert_eq!(check(&[found("orphan", "1", "")], &orphan, "").len(), 1);
        let spans = [found("orphan", "1", "2"), found("outer", "2", "")];
        assert_eq!(check(&spans, &orphan, "").len(), 2);
    }
}
