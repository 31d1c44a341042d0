use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, Link, Span, SpanContext, SpanKind, Status};
use towline_span::{NewSpan, Recording, Repeated, SpanName};

use super::repeats::{self, Kept as Repeats, Room, Shape};
use super::shorten::{shorten, shorten_value, shortened};
use super::{Inner, now, pool};
use crate::encode::{
    DroppedCounts, put_attribute, put_beginning, put_end, put_event, put_int_attribute, put_link,
    put_name, put_name_pair, put_place, put_text_attribute, put_text_attribute_of_parts,
};

/// A span of a [`SpanRecorder`](super::SpanRecorder), as far as it is told: encoded already.
///
/// It ends with [`end`](Span::end) or when it is dropped, once, and takes nothing more after that.
pub struct RecordedSpan {
    inner: Arc<Inner>,
    span_context: SpanContext,
    /// What was said so far, as fields of OTLP's `Span`. Empty once it has ended.
    fields: Vec<u8>,
    /// Where its name stands in there, if it has one.
    name: Range<usize>,
    kept: Kept,
    dropped: DroppedCounts,
    status: Status,
    kind: SpanKind,
    start_time: SystemTime,
    /// The longest text of an attribute.
    value_chars: Option<usize>,
    /// Whether it has been described. One whose description panicked never was.
    has_begun: bool,
    has_ended: bool,
}

/// How much it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    attributes: u32,
    events: u32,
    links: u32,
    /// How often it was named.
    names: u32,
}

const ATTRIBUTES: u32 = 9;

// === impl RecordedSpan ===

impl RecordedSpan {
    pub(super) fn begin(inner: &Arc<Inner>, span: NewSpan) -> Self {
        let mut fields = pool::take();
        put_place(
            &mut fields,
            &span.span_context,
            span.parent_span_id,
            span.parent_is_remote,
        );
        Self {
            inner: Arc::clone(inner),
            span_context: span.span_context,
            fields,
            name: 0..0,
            kept: Kept::default(),
            dropped: DroppedCounts::default(),
            status: Status::Unset,
            kind: SpanKind::Internal,
            start_time: now(),
            value_chars: inner.core.value_chars(),
            has_begun: false,
            has_ended: false,
        }
    }

    /// It has been described: what can still be said otherwise is written down.
    pub(super) fn begun(&mut self) {
        put_beginning(&mut self.fields, &self.kind, self.start_time);
        self.has_begun = true;
    }

    /// Whether there is room for one more attribute; if not, it is counted.
    fn has_room(&mut self) -> bool {
        let has_room =
            !self.has_ended && self.kept.attributes < self.inner.limits.max_attributes_per_span;
        if has_room {
            self.kept.attributes += 1;
        } else {
            self.dropped.attributes = self.dropped.attributes.saturating_add(1);
        }
        has_room
    }

    fn put(&mut self, mut attribute: KeyValue) {
        if !self.has_room() {
            return;
        }
        if let Some(chars) = self.value_chars {
            shorten_value(&mut attribute.value, chars);
        }
        let KeyValue { key, value, .. } = &attribute;
        put_attribute(&mut self.fields, ATTRIBUTES, key.as_str(), value);
    }

    fn put_text(&mut self, key: &str, value: &str) {
        if !self.has_room() {
            return;
        }
        let value = self
            .value_chars
            .map_or(value, |chars| shortened(value, chars));
        put_text_attribute(&mut self.fields, ATTRIBUTES, key, value);
    }

    fn put_event(&mut self, mut event: Event) {
        if self.has_ended {
            return;
        }
        if self.kept.events >= self.inner.limits.max_events_per_span {
            self.dropped.events = self.dropped.events.saturating_add(1);
            return;
        }
        self.kept.events += 1;
        let limit = self.inner.limits.max_attributes_per_event;
        event.dropped_attributes_count = cut(&mut event.attributes, limit, self.value_chars);
        put_event(&mut self.fields, &event);
    }

    fn put_link(&mut self, mut link: Link) {
        if self.has_ended {
            return;
        }
        if self.kept.links >= self.inner.limits.max_links_per_span {
            self.dropped.links = self.dropped.links.saturating_add(1);
            return;
        }
        self.kept.links += 1;
        let limit = self.inner.limits.max_attributes_per_link;
        link.dropped_attributes_count = cut(&mut link.attributes, limit, self.value_chars);
        put_link(&mut self.fields, &link);
    }

    /// Writes the name down, in place of the one before.
    fn put_name(&mut self, name: &str) {
        if self.has_ended {
            return;
        }
        self.kept.names = self.kept.names.saturating_add(1);
        if self.name.is_empty() {
            let start = self.fields.len();
            put_name(&mut self.fields, name);
            self.name = start..self.fields.len();
            return;
        }
        let mut field = Vec::new();
        put_name(&mut field, name);
        let start = self.name.start;
        let end = start + field.len();
        self.fields
            .splice(std::mem::replace(&mut self.name, start..end), field);
    }

    /// Fields were written at `start` that have this shape.
    fn took(&mut self, start: usize, shape: Shape) {
        self.kept.attributes += shape.attributes;
        if !shape.name.is_empty() {
            self.kept.names = 1;
            self.name = start + shape.name.start..start + shape.name.end;
        }
    }

    /// The shape of what was written since, if it is attributes and a first name alone, and all of them.
    fn shape_since(&self, start: usize, (kept, dropped): (Kept, DroppedCounts)) -> Option<Shape> {
        // A second name has been put where the first one stood, and one that is empty is not seen.
        let is_first_name = kept.names == 0 && !self.name.is_empty();
        let expected = Kept {
            attributes: self.kept.attributes,
            names: if is_first_name {
                self.kept.names
            } else {
                kept.names
            },
            ..kept
        };
        if self.kept != expected || self.dropped != dropped {
            return None;
        }
        let name = match is_first_name {
            true => self.name.start.checked_sub(start)?..self.name.end.checked_sub(start)?,
            false => 0..0,
        };
        let attributes = self.kept.attributes - kept.attributes;
        Some(Shape { name, attributes })
    }

    fn finish(&mut self, end_time: SystemTime) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        put_end(&mut self.fields, end_time, &self.status, &self.dropped);
        self.inner.end(&self.fields);
        pool::give(std::mem::take(&mut self.fields));
    }
}

impl Recording for RecordedSpan {
    fn name(&mut self, name: SpanName<'_>) {
        match name {
            SpanName::Fixed(name) | SpanName::Text(name) => self.put_name(name),
            SpanName::Pair(first, second) if self.name.is_empty() && !self.has_ended => {
                self.kept.names = self.kept.names.saturating_add(1);
                let start = self.fields.len();
                put_name_pair(&mut self.fields, first, second);
                self.name = start..self.fields.len();
            }
            name => self.put_name(&name.to_cow()),
        }
    }

    fn kind(&mut self, kind: SpanKind) {
        self.kind = kind;
    }

    fn start_time(&mut self, time: SystemTime) {
        self.start_time = time;
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.put_text(key, value);
    }

    fn text_of_parts(&mut self, key: &'static str, parts: &[&str]) {
        if self.value_chars.is_some() {
            return self.put_text(key, &parts.concat());
        }
        if self.has_room() {
            put_text_attribute_of_parts(&mut self.fields, ATTRIBUTES, key, parts);
        }
    }

    fn fixed_text(&mut self, key: &'static str, value: &'static str) {
        self.put_text(key, value);
    }

    fn number(&mut self, key: &'static str, value: i64) {
        if self.has_room() {
            put_int_attribute(&mut self.fields, ATTRIBUTES, key, value);
        }
    }

    fn repeated(&mut self, group: Repeated<'_>, tell: &mut dyn FnMut(&mut dyn Recording)) {
        // Where texts are cut it is not what it is elsewhere.
        if self.has_ended || self.value_chars.is_some() {
            return tell(self);
        }
        let start = self.fields.len();
        let limit = self.inner.limits.max_attributes_per_span;
        let room = Room {
            name: self.kept.names == 0,
            attributes: limit.saturating_sub(self.kept.attributes),
        };
        match repeats::write_again(group, room, &mut self.fields) {
            Repeats::Written(shape) => self.took(start, shape),
            Repeats::Unknown(None) => tell(self),
            Repeats::Unknown(Some(place)) => {
                let before = (self.kept, self.dropped);
                let others = (self.kind.clone(), self.start_time);
                tell(self);
                if others == (self.kind.clone(), self.start_time)
                    && let Some(shape) = self.shape_since(start, before)
                {
                    let written = self.fields.get(start..).unwrap_or_default();
                    repeats::keep(place, group, written, shape);
                }
            }
        }
    }

    fn attribute(&mut self, attribute: KeyValue) {
        self.put(attribute);
    }

    fn event(&mut self, event: Event) {
        self.put_event(event);
    }

    fn link(&mut self, link: Link) {
        self.put_link(link);
    }
}

impl Span for RecordedSpan {
    fn add_event_with_timestamp<N>(
        &mut self,
        name: N,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        N: Into<Cow<'static, str>>,
    {
        self.put_event(Event::new(name, timestamp, attributes, 0));
    }

    fn span_context(&self) -> &SpanContext {
        &self.span_context
    }

    fn is_recording(&self) -> bool {
        !self.has_ended
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.put(attribute);
    }

    /// `Ok` is final, and an error is not taken back, as in the SDK.
    fn set_status(&mut self, status: Status) {
        if status > self.status {
            self.status = status;
        }
    }

    fn update_name<N>(&mut self, new_name: N)
    where
        N: Into<Cow<'static, str>>,
    {
        self.put_name(&new_name.into());
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.put_link(Link::new(span_context, attributes, 0));
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.finish(timestamp);
    }
}

impl Drop for RecordedSpan {
    fn drop(&mut self) {
        if self.has_begun && !self.has_ended {
            self.finish(now());
        }
    }
}

impl fmt::Debug for RecordedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what was said of it, which may not belong in a log.
        f.debug_struct("RecordedSpan")
            .field("span_context", &self.span_context)
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

/// Cuts a list of attributes and their texts; says how many were dropped.
fn cut(attributes: &mut Vec<KeyValue>, limit: u32, chars: Option<usize>) -> u32 {
    let dropped = attributes.len().saturating_sub(limit as usize);
    attributes.truncate(limit as usize);
    if let Some(chars) = chars {
        shorten(attributes, chars);
    }
    u32::try_from(dropped).unwrap_or(u32::MAX)
}
