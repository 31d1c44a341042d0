//! The value of `uber-trace-id`.

use std::str;

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceFlags, TraceId},
};

use crate::{named::Named, remark::Remark, white_space};

/// The parent, or nothing if the value is not legal.
pub(super) fn parse(value: &[u8]) -> Option<Named> {
    let value = white_space::trim(value);
    let value = str::from_utf8(value).ok()?;
    if value.contains(':') {
        of_parts(value.split(':'))
    } else {
        of_parts(value.split('%').enumerate().map(|(place, part)| {
            // What stands behind a percent sign must be the colon; nothing else makes a legal part.
            let encoded = ["3A", "3a"]
                .iter()
                .find_map(|colon| part.strip_prefix(colon));
            if place == 0 {
                part
            } else {
                encoded.unwrap_or_default()
            }
        }))
    }
}

/// The value for a valid span.
pub(super) fn write(cx: &Context, span: &SpanContext) -> String {
    let mut flags = u8::from(span.is_sampled());
    // A debug flag by itself means nothing.
    if span.is_sampled() && Remark::is_debug(cx, span) {
        flags |= DEBUG;
    }
    format!("{}:{}:0:{flags:x}", span.trace_id(), span.span_id())
}

fn of_parts<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<Named> {
    let trace_id = number(parts.next()?, 32).filter(|id| *id != 0)?;
    let span_id = number(parts.next()?, 16).filter(|id| *id != 0)?;
    let _deprecated = number(parts.next()?, 16)?;
    let flags = number(parts.next()?, 2)? as u8;
    if parts.next().is_some() {
        return None;
    }
    let trace_id = TraceId::from(trace_id);
    let is_sampled = flags & SAMPLED == SAMPLED;
    let is_debug = is_sampled && flags & DEBUG == DEBUG;
    Some(Named {
        trace_id,
        span_id: SpanId::from(span_id as u64),
        flags: TraceFlags::default().with_sampled(is_sampled),
        remark: is_debug.then_some(Remark::Debug(trace_id)),
    })
}

/// One to `max` hexadecimal digits, of either case.
fn number(digits: &str, max: usize) -> Option<u128> {
    let legal =
        (1..=max).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    legal.then(|| u128::from_str_radix(digits, 16).ok())?
}

const SAMPLED: u8 = 0x01;
const DEBUG: u8 = 0x02;
