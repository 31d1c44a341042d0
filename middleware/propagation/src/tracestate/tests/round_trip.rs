//! From incoming header lines to a span context and its context, and out again.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState},
};
use proptest::prelude::*;

use super::super::{List, MAX_BYTES, incoming, outgoing};

/// Reads `lines`, lets `change` work on the `TraceState`, and sends the result.
fn pass_on(lines: &[&str], change: impl FnOnce(TraceState) -> TraceState) -> Option<String> {
    let (trace_state, context) = receive(lines, &Context::new());
    send(TRACE, change(trace_state), &context)
}

fn receive(lines: &[&str], base: &Context) -> (TraceState, Context) {
    let incoming = incoming(TRACE, lines.iter().map(|line| line.as_bytes()), base);
    (
        incoming.trace_state,
        incoming.context.unwrap_or_else(|| base.clone()),
    )
}

fn send(trace_id: TraceId, trace_state: TraceState, context: &Context) -> Option<String> {
    let flags = TraceFlags::default();
    let span_context = SpanContext::new(trace_id, SpanId::from(1), flags, false, trace_state);
    outgoing(&span_context, context)
}

fn unchanged(trace_state: TraceState) -> TraceState {
    trace_state
}

#[track_caller]
fn assert_sent(sent: Option<String>, expected: &str) {
    assert_eq!(sent.as_deref().unwrap_or_default(), expected);
    assert_ne!(sent.as_deref(), Some(""), "an empty header");
}

#[test]
fn an_ordinary_list_is_all_in_the_trace_state_and_nothing_beside_it() {
    let incoming = incoming(TRACE, [&b"foo=1,t@v=2"[..]], &Context::new());
    assert_eq!(incoming.trace_state.header(), "foo=1,t@v=2");
    assert!(incoming.context.is_none() && !incoming.rejected);
}

#[test]
fn an_unchanged_list_is_passed_on_as_it_came() {
    for text in [
        "foo=1,bar=2",
        "foo@@bar=1,bar=2",
        "a=1,foo@@bar=1,b=2,c@d@e=3,c=3",
        "x@=1",
    ] {
        assert_sent(pass_on(&[text], unchanged), text);
    }
}

#[test]
fn an_absent_empty_or_illegal_list_sends_no_header() {
    for lines in [&[][..], &[""], &["", " , "], &["Foo=1"], &["foo=1", "bar"]] {
        assert_eq!(pass_on(lines, unchanged), None, "{lines:?}");
    }
}

#[test]
fn an_illegal_list_is_reported_and_no_other() {
    let rejected = |line: &str| incoming(TRACE, [line.as_bytes()], &Context::new()).rejected;
    assert!(rejected("Foo=1") && rejected("foo"));
    assert!(!rejected("foo=1") && !rejected("") && !rejected("foo@@bar=1"));
}

#[test]
fn a_list_over_512_characters_is_passed_on() {
    let text = ["a", "b", "c", "d"]
        .map(|key| format!("{key}={}", "v".repeat(254)))
        .join(",");
    assert!(text.len() > 1000);
    assert_sent(pass_on(&[&text], unchanged), &text);
}

#[test]
fn new_members_go_first() {
    let sent = pass_on(&["foo@@bar=1,a=1"], |state| {
        state.insert("new", "2").unwrap()
    });
    assert_sent(sent, "new=2,foo@@bar=1,a=1");
    let sent = pass_on(&["a=1,foo@@bar=1"], |state| {
        state.insert("n", "1").unwrap().insert("m", "2").unwrap()
    });
    assert_sent(sent, "m=2,n=1,a=1,foo@@bar=1");
}

#[test]
fn changed_members_go_first() {
    let sent = pass_on(&["a=1,foo@@bar=1,b=2"], |state| {
        state.insert("b", "3").unwrap()
    });
    assert_sent(sent, "b=3,a=1,foo@@bar=1");
    let sent = pass_on(&["a=1,foo@@bar=1,b=2"], |state| {
        state.insert("a", "3").unwrap()
    });
    assert_sent(sent, "a=3,foo@@bar=1,b=2");
}

#[test]
fn renewed_members_go_first() {
    let sent = pass_on(&["a=1,foo@@bar=1,b=2"], |state| {
        state.insert("b", "2").unwrap()
    });
    assert_sent(sent, "b=2,a=1,foo@@bar=1");
}

#[test]
fn deleted_members_vanish() {
    let sent = pass_on(&["a=1,foo@@bar=1,b=2"], |state| state.delete("a").unwrap());
    assert_sent(sent, "foo@@bar=1,b=2");
    assert_sent(
        pass_on(&["a=1,foo@@bar=1,b=2"], |_| TraceState::NONE),
        "foo@@bar=1",
    );
    assert_sent(pass_on(&["a=1,b=2"], |_| TraceState::NONE), "");
}

#[test]
fn another_trace_gets_none_of_the_members_beside() {
    let (trace_state, context) = receive(&["a=1,foo@@bar=1"], &Context::new());
    assert_eq!(send(TraceId::from(2), TraceState::NONE, &context), None);
    assert_sent(send(TraceId::from(2), trace_state, &context), "a=1");
}

#[test]
fn a_later_message_of_the_same_trace_does_not_get_the_members_of_an_earlier_one() {
    let (_, context) = receive(&["a=1,foo@@bar=1"], &Context::new());
    for (lines, expected) in [
        (&["b=2"][..], "b=2"),
        (&["a=1"], "a=1"),
        (&[], ""),
        (&["Foo=1"], ""),
        (&["c@@d=2,e=3"], "c@@d=2,e=3"),
    ] {
        let (trace_state, context) = receive(lines, &context);
        assert_sent(send(TRACE, trace_state, &context), expected);
    }
}

#[test]
fn a_message_of_another_trace_leaves_the_context_alone() {
    let (_, context) = receive(&["a=1,foo@@bar=1"], &Context::new());
    assert!(
        incoming(TraceId::from(2), [&b"b=2"[..]], &context)
            .context
            .is_none()
    );
}

#[test]
fn no_more_than_32_members_are_sent() {
    let members: Vec<String> = (0..31).map(|n| format!("k{n:02}=1")).collect();
    let text = format!("{},x@@y=1", members.join(","));
    let sent = pass_on(&[&text], |state| state.insert("new", "1").unwrap());
    assert_sent(sent, &format!("new=1,{}", members.join(",")));
}

#[test]
fn a_list_that_has_grown_too_long_is_shortened() {
    let long = "v".repeat(250);
    let members: Vec<String> = (0..16).map(|n| format!("k{n:02}={long}")).collect();
    let sent = pass_on(&[&members.join(",")], |state| {
        state.insert("new", "1").unwrap()
    })
    .unwrap();
    assert!(sent.len() <= MAX_BYTES, "{}", sent.len());
    assert_eq!(sent, format!("new=1,{}", members[..16].join(",")));
    let sent = pass_on(&[&members.join(",")], |state| {
        state.insert("new", long.clone()).unwrap()
    })
    .unwrap();
    assert_eq!(sent, format!("new={long},{}", members[..15].join(",")));
}

#[test]
fn members_that_the_grammar_forbids_are_not_sent() {
    let api = |pairs: &[(&str, &str)]| TraceState::from_key_value(pairs.iter().copied()).unwrap();
    for (state, expected) in [
        (api(&[("", "1"), ("a", "1")]), "a=1"),
        (api(&[("a", ""), ("b", "1")]), "b=1"),
        (api(&[("a", "1\r\nx: y"), ("b", "1")]), "b=1"),
        (api(&[("a", "\u{e9}")]), ""),
        (api(&[("a", " ")]), ""),
        (api(&[("a", " 1 ")]), "a= 1"),
        (api(&[("a", "1"), ("a", "2")]), "a=1"),
    ] {
        assert_sent(send(TRACE, state, &Context::new()), expected);
    }
}

fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("[a-c][@d]{0,3}", "[0-3]"), 0..12)
}

proptest! {
    #[test]
    fn whatever_happens_to_the_trace_state_what_is_sent_is_legal_and_loses_nothing(
        received in members(),
        inserted in proptest::collection::vec(("[a-d]", "[0-9]"), 0..4),
        deleted in proptest::collection::vec("[a-c]", 0..3),
    ) {
        let text: Vec<String> = received.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let text = text.join(",");
        let original = List::parse([text.as_bytes()]).unwrap();
        let (mut state, context) = receive(&[&text], &Context::new());
        for key in &deleted {
            state = state.delete(key.as_str()).unwrap();
        }
        for (key, value) in &inserted {
            state = state.insert(key.as_str(), value.as_str()).unwrap();
        }
        let sent = send(TRACE, state.clone(), &context).unwrap_or_default();
        let list = List::parse([sent.as_bytes()]).unwrap();
        prop_assert_eq!(list.to_string(), sent.clone(), "normal form");

        // Every member of the TraceState is sent, with its value.
        for (key, value) in &state {
            prop_assert_eq!(list.get(key), Some(value), "{}", &sent);
        }
        // What else is sent is what the API could not hold, and all of that.
        let (held, _) = receive(&[&text], &Context::new());
        let beside: Vec<_> = original.iter().filter(|member| held.get(member.key()).is_none()).collect();
        for member in &beside {
            prop_assert_eq!(list.get(member.key()), Some(member.value()), "{}", &sent);
        }
        prop_assert_eq!(list.len(), (&state).into_iter().len() + beside.len(), "{}", &sent);
        // Those of the TraceState keep its order, and those beside it keep theirs.
        let order: Vec<_> = list.iter().filter(|member| state.get(member.key()).is_some()).collect();
        prop_assert!(order.iter().map(|member| member.key()).eq((&state).into_iter().map(|(key, _)| key)));
        let order: Vec<_> = list.iter().filter(|member| state.get(member.key()).is_none()).collect();
        prop_assert_eq!(order, beside);
        // The last one written stands at the left, unless writing it changed nothing that can be seen.
        if let Some((key, value)) = inserted.last()
            && original.get(key) != Some(value)
        {
            prop_assert_eq!(list.iter().next().map(|member| member.key()), Some(key.as_str()), "{}", &sent);
        }
    }
}

const TRACE: TraceId = TraceId::from_bytes([1; 16]);
