//! The outgoing side: the list that a span context sends.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceState},
};

use super::{List, MAX_BYTES, Member, beside::Beside};

/// The value of the `tracestate` header that goes with `span_context`, or nothing if it has no member.
///
/// `context` is where the members that the API cannot hold are found.
pub(crate) fn outgoing(span_context: &SpanContext, context: &Context) -> Option<String> {
    let beside = Beside::of(context, span_context.trace_id());
    let trace_state = span_context.trace_state();
    if beside.is_none() && trace_state.into_iter().len() == 0 {
        return None;
    }
    let current = legal_members(trace_state);
    let original = beside.map(Beside::list);
    let mut list = match (beside, &original) {
        (Some(beside), Some(original)) => merge(&current, original, |index| beside.holds(index)),
        _ => current,
    };
    list.shorten(MAX_BYTES);
    if list.is_empty() {
        return None;
    }
    let mut value = String::with_capacity(list.encoded_len());
    for member in list.iter() {
        if !value.is_empty() {
            value.push(',');
        }
        value.push_str(member.key());
        value.push('=');
        value.push_str(member.value());
    }
    Some(value)
}

/// The members of `trace_state` that may be sent. The API takes what the grammar does not: empty keys and
/// values, repeated keys, control characters.
fn legal_members(trace_state: &TraceState) -> List<'_> {
    let mut list = List::default();
    for (key, value) in trace_state {
        if let Some(member) = Member::new(key, value) {
            list.push(member);
        }
    }
    list
}

/// The `original` list, some members of which are `held` by a `TraceState`, after that `TraceState` has
/// become `current`.
///
/// What is new in `current` stands at its left end, since that is where writers put what they add, change or
/// renew. So the untouched members are the longest right end of it that is still in the order of `original`.
/// (One that was renewed with the value it had, and was the first that the `TraceState` held, is not to be
/// told from an untouched one and keeps its place.)
fn merge<'a>(current: &List<'a>, original: &List<'a>, held: impl Fn(usize) -> bool) -> List<'a> {
    let mut end = original.len();
    let mut written = current.len();
    let mut untouched = 0_u32;
    for member in current.iter().rev() {
        let place = original.iter().take(end).rposition(|other| other == member);
        let Some(place) = place else { break };
        untouched |= 1 << place;
        end = place;
        written -= 1;
    }

    let mut list = List::default();
    for member in current.iter().take(written) {
        list.push(*member);
    }
    for (index, member) in original.iter().enumerate() {
        if untouched >> index & 1 == 1 || !held(index) {
            list.push(*member);
        }
    }
    list
}
