use crate::spans::Span;

/// A span that must be there, and under which other.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    service: &'static str,
    kind: &'static str,
    name: &'static str,
    /// The place of the parent in the list; none for the first, whose parent is given.
    parent: Option<usize>,
}

/// The spans of `GET /users/{id}`: proxy, app, cache, backend, and the greeter from both sides.
pub const USERS: &[Expected] = &[
    span("proxy", "server", "GET", None),
    span("proxy", "client", "GET", Some(0)),
    span("users", "server", "GET /users/{id}", Some(1)),
    span("users", "internal", "cache/Get", Some(2)),
    span("users", "client", "backend/Get", Some(2)),
    span("users", "client", "hello.Greeter/SayHello", Some(2)),
    span("greeter", "server", "hello.Greeter/SayHello", Some(5)),
];

/// The spans of `GET /events`.
pub const EVENTS: &[Expected] = &[
    span("proxy", "server", "GET", None),
    span("proxy", "client", "GET", Some(0)),
    span("users", "server", "GET /events", Some(1)),
];

/// The spans of `GET /broken`.
pub const BROKEN: &[Expected] = &[
    span("proxy", "server", "GET", None),
    span("proxy", "client", "GET", Some(0)),
    span("users", "server", "GET /broken", Some(1)),
];

const fn span(
    service: &'static str,
    kind: &'static str,
    name: &'static str,
    parent: Option<usize>,
) -> Expected {
    Expected {
        service,
        kind,
        name,
        parent,
    }
}

/// Compares the spans of one trace with what is expected of it, the first under `parent` (empty for
/// a root). Answers what is wrong, a line each; nothing if all is well.
pub fn check(spans: &[Span], expected: &[Expected], parent: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ids: Vec<Option<&str>> = Vec::with_capacity(expected.len());
    for wanted in expected {
        let parent = match wanted.parent {
            None => Some(parent),
            Some(place) => ids.get(place).copied().flatten(),
        };
        let found = spans.iter().find(|span| {
            span.service == wanted.service
                && span.kind == wanted.kind
                && span.name == wanted.name
                && Some(span.parent_id.as_str()) == parent
        });
        if found.is_none() {
            wrong.push(format!(
                "no {} span \"{}\" of {} under its parent",
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
        span("s", "internal", "outer", None),
        span("s", "internal", "inner", Some(0)),
    ];

    #[test]
    fn all_is_well_when_every_span_is_under_its_parent() {
        let spans = [found("outer", "1", "9"), found("inner", "2", "1")];
        assert_eq!(check(&spans, TWO, "9"), [""; 0]);
    }

    #[test]
    fn a_missing_a_stray_and_a_surplus_span_are_each_told() {
        let outer = found("outer", "1", "");
        assert_eq!(check(slice::from_ref(&outer), TWO, "").len(), 2);
        let stray = found("inner", "2", "7");
        assert_eq!(check(&[outer.clone(), stray], TWO, "").len(), 1);
        let spans = [outer, found("inner", "2", "1"), found("inner", "3", "1")];
        assert_eq!(check(&spans, TWO, "").len(), 1);
        assert_eq!(check(&spans[..2], TWO, "8").len(), 2);
    }
}
