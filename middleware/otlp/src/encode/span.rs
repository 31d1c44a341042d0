use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::SpanId;
use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceState};
use opentelemetry_sdk::trace::SpanData;

use super::attribute::{attributes_len, put_attributes, put_str, str_len};
use crate::wire::{Run, nested_len, put_key, put_len, put_varint, varint_len, wire_type};

/// Appends the fields of one `Span` message.
///
/// One pass: what is nested is measured before it is written, which for a string or a number costs
/// next to nothing, and the caller measures the whole by the growth of `out`.
pub(crate) fn put_span(out: &mut Vec<u8>, span: &SpanData) {
    put_context(out, &span.span_context);
    put_parent(out, span.parent_span_id);
    put_name(out, &span.name);
    put_beginning(out, &span.span_kind, span.start_time);
    put_nanos(out, 8, span.end_time);
    put_attributes(out, 9, &span.attributes);
    put_count(out, 10, span.dropped_attributes_count);
    for event in &span.events.events {
        put_event(out, event);
    }
    put_count(out, 12, span.events.dropped_count);
    for link in &span.links.links {
        put_link(out, link);
    }
    put_count(out, 14, span.links.dropped_count);
    put_status(out, &span.status);
    put_span_flags(out, &span.span_context, span.parent_span_is_remote);
}

/// What a span could not keep, by the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DroppedCounts {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
}

/// `trace_id = 1`, `span_id = 2`, `trace_state = 3`, `parent_span_id = 4`, `flags = 16`.
pub(crate) fn put_place(
    out: &mut Vec<u8>,
    context: &SpanContext,
    parent_span_id: SpanId,
    parent_is_remote: bool,
) {
    if *context.trace_state() == TraceState::NONE && parent_span_id != SpanId::INVALID {
        // As most have it: all of a known length.
        let place = Run::<PLACE_BYTES>::new()
            .with([0x0a, 16])
            .with(context.trace_id().to_bytes())
            .with([0x12, 8])
            .with(context.span_id().to_bytes())
            .with([0x22, 8])
            .with(parent_span_id.to_bytes())
            .with([0x85, 0x01])
            .with(flags(context, parent_is_remote).to_le_bytes());
        out.extend_from_slice(place.as_bytes());
        return;
    }
    put_context(out, context);
    put_parent(out, parent_span_id);
    put_span_flags(out, context, parent_is_remote);
}

const PLACE_BYTES: usize = 2 + 16 + 2 + 8 + 2 + 8 + 2 + 4;

fn put_parent(out: &mut Vec<u8>, parent_span_id: SpanId) {
    if parent_span_id != SpanId::INVALID {
        put_len(out, 4, 8);
        out.extend_from_slice(&parent_span_id.to_bytes());
    }
}

fn put_span_flags(out: &mut Vec<u8>, context: &SpanContext, parent_is_remote: bool) {
    put_flags(out, 16, flags(context, parent_is_remote));
}

/// `name = 5`.
pub(crate) fn put_name(out: &mut Vec<u8>, name: &str) {
    if !name.is_empty() {
        put_str(out, 5, name);
    }
}

/// [`put_name`] of two with a space between.
pub(crate) fn put_name_pair(out: &mut Vec<u8>, first: &str, second: &str) {
    put_len(out, 5, first.len() + 1 + second.len());
    out.extend_from_slice(first.as_bytes());
    out.push(b' ');
    out.extend_from_slice(second.as_bytes());
}

/// `kind = 6`, `start_time_unix_nano = 7`.
pub(crate) fn put_beginning(out: &mut Vec<u8>, span_kind: &SpanKind, start_time: SystemTime) {
    let kind = [0x30, kind(span_kind)];
    match nanos(start_time) {
        0 => out.extend_from_slice(&kind),
        nanos => {
            out.extend_from_slice(
                Run::<11>::new()
                    .with(kind)
                    .with([0x39])
                    .with(nanos.to_le_bytes())
                    .as_bytes(),
            );
        }
    }
}

/// `end_time_unix_nano = 8`, what was dropped (10, 12, 14), `status = 15`.
pub(crate) fn put_end(
    out: &mut Vec<u8>,
    end_time: SystemTime,
    status: &Status,
    dropped: &DroppedCounts,
) {
    let nanos = nanos(end_time);
    if nanos != 0 && *dropped == DroppedCounts::default() && *status == Status::Unset {
        let end = Run::<11>::new()
            .with([0x41])
            .with(nanos.to_le_bytes())
            .with([0x7a, 0]);
        out.extend_from_slice(end.as_bytes());
        return;
    }
    put_nanos(out, 8, end_time);
    put_count(out, 10, dropped.attributes);
    put_count(out, 12, dropped.events);
    put_count(out, 14, dropped.links);
    put_status(out, status);
}

/// `trace_id = 1`, `span_id = 2`, `trace_state = 3`: the beginning of a `Span` and of a `Link`.
fn put_context(out: &mut Vec<u8>, context: &SpanContext) {
    put_len(out, 1, 16);
    out.extend_from_slice(&context.trace_id().to_bytes());
    put_len(out, 2, 8);
    out.extend_from_slice(&context.span_id().to_bytes());
    let len = trace_state_len(context.trace_state());
    if len > 0 {
        put_len(out, 3, len);
        put_trace_state(out, context.trace_state());
    }
}

fn context_len(context: &SpanContext) -> usize {
    let trace_state = trace_state_len(context.trace_state());
    28 + if trace_state == 0 {
        0
    } else {
        nested_len(trace_state)
    }
}

/// The length of a `tracestate` header with these members: `key=value`, joined by commas.
fn trace_state_len(trace_state: &TraceState) -> usize {
    let members = trace_state.into_iter();
    let separators = members.len().saturating_sub(1);
    separators
        + members
            .map(|(key, value)| key.len() + 1 + value.len())
            .sum::<usize>()
}

fn put_trace_state(out: &mut Vec<u8>, trace_state: &TraceState) {
    for (index, (key, value)) in trace_state.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

/// `Event { time_unix_nano = 1, name = 2, attributes = 3, dropped_attributes_count = 4 }` as field
/// 11.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event) {
    let time = nanos(event.timestamp);
    let len = if time == 0 { 0 } else { 9 }
        + str_len(&event.name)
        + attributes_len(&event.attributes)
        + count_len(event.dropped_attributes_count);
    put_len(out, 11, len);
    put_nanos(out, 1, event.timestamp);
    if !event.name.is_empty() {
        put_str(out, 2, &event.name);
    }
    put_attributes(out, 3, &event.attributes);
    put_count(out, 4, event.dropped_attributes_count);
}

/// `Link { trace_id = 1, span_id = 2, trace_state = 3, attributes = 4, dropped_attributes_count =
/// 5, flags = 6 }` as field 13.
pub(crate) fn put_link(out: &mut Vec<u8>, link: &Link) {
    let len = context_len(&link.span_context)
        + attributes_len(&link.attributes)
        + count_len(link.dropped_attributes_count)
        + 5;
    put_len(out, 13, len);
    put_context(out, &link.span_context);
    put_attributes(out, 4, &link.attributes);
    put_count(out, 5, link.dropped_attributes_count);
    put_flags(
        out,
        6,
        flags(&link.span_context, link.span_context.is_remote()),
    );
}

/// `Status { message = 2, code = 3 }` as field 15, present even when unset.
fn put_status(out: &mut Vec<u8>, status: &Status) {
    let (message, code) = match status {
        Status::Unset => ("", 0),
        Status::Ok => ("", 1),
        Status::Error { description } => (&**description, 2),
    };
    put_len(out, 15, str_len(message) + if code == 0 { 0 } else { 2 });
    if !message.is_empty() {
        put_str(out, 2, message);
    }
    if code != 0 {
        out.extend_from_slice(&[0x18, code]);
    }
}

const fn kind(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// The W3C trace flags, and whether the parent (of a link: the linked span) is remote, which is
/// always known.
fn flags(context: &SpanContext, remote: bool) -> u32 {
    const HAS_IS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    u32::from(context.trace_flags().to_u8()) | HAS_IS_REMOTE | if remote { IS_REMOTE } else { 0 }
}

#[inline]
fn put_flags(out: &mut Vec<u8>, field: u32, flags: u32) {
    put_key(out, field, wire_type::FIXED32);
    out.extend_from_slice(&flags.to_le_bytes());
}

/// A `fixed64` of nanoseconds since 1970, left out when 0.
#[inline]
fn put_nanos(out: &mut Vec<u8>, field: u32, time: SystemTime) {
    let nanos = nanos(time);
    if nanos != 0 {
        put_key(out, field, wire_type::FIXED64);
        out.extend_from_slice(&nanos.to_le_bytes());
    }
}

/// Nanoseconds since 1970; a time before is 1970. The count wraps in the year 2554, as OTLP's field
/// does.
#[inline]
fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// A `uint32`, left out when 0.
#[inline]
fn put_count(out: &mut Vec<u8>, field: u32, count: u32) {
    if count != 0 {
        put_key(out, field, wire_type::VARINT);
        put_varint(out, count.into());
    }
}

fn count_len(count: u32) -> usize {
    if count == 0 {
        0
    } else {
        1 + varint_len(count.into())
    }
}
