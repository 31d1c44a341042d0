//! Spans that are recorded without the SDK.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use opentelemetry::trace::{Event, Link, SpanBuilder, SpanContext, SpanId, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};

use crate::repeated::{AddressKeys, Repeated};
use crate::shared::shared;

/// Records spans itself, in place of a tracer's SDK: see
/// [`Spans::with_recorder`](crate::Spans::with_recorder).
///
/// The SDK keeps a span as a structure of texts and lists until it ends, for processors to look at.
/// Whoever only wants it encoded can write it down as it is told, which takes a third of the
/// allocations and a good part less of everything else.
pub trait Recorder: fmt::Debug + Send + Sync {
    /// Whether spans are still wanted. After a shutdown they are not, and what a caller sent is passed
    /// on as it is.
    fn is_open(&self) -> bool;

    /// The id of a new trace: valid, and random if
    /// [`Spans::with_random_trace_ids`](crate::Spans::with_random_trace_ids) says so.
    fn new_trace_id(&self) -> TraceId;

    /// The id of a new span: valid.
    fn new_span_id(&self) -> SpanId;

    /// Starts a span and makes it the current one of a copy of `base`.
    ///
    /// `describe` is called once, at once. It runs functions of the program's; should one panic, nothing
    /// of the span may be left. The span in the context must be a recording one that has the span
    /// context of `span`, and must keep what is said to it until it ends or is dropped.
    fn start(
        &self,
        base: &Context,
        span: NewSpan,
        describe: &mut dyn FnMut(&mut dyn Recording),
    ) -> Context;
}

/// Where a span that starts stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewSpan {
    /// Its own context: sampled, not remote.
    pub span_context: SpanContext,
    /// Its parent's id; the invalid one for a root.
    pub parent_span_id: SpanId,
    /// Whether the parent has come from another process.
    pub parent_is_remote: bool,
}

/// What can be said of a span at its start.
///
/// Whatever is not said is as a [`SpanBuilder`] has it: no name, of kind *internal*, started now.
pub trait Recording {
    /// Its name. The last one counts.
    fn name(&mut self, name: SpanName<'_>);

    /// Its kind.
    fn kind(&mut self, kind: SpanKind);

    /// When it started.
    fn start_time(&mut self, time: SystemTime);

    /// An attribute whose text is another each time, such as a path.
    fn text(&mut self, key: &'static str, value: &str);

    /// An attribute whose text is these parts in a row.
    fn text_of_parts(&mut self, key: &'static str, parts: &[&str]) {
        self.text(key, &parts.concat());
    }

    /// An attribute whose text comes again and again, such as a route; see [`shared`].
    fn frequent_text(&mut self, key: &'static str, value: &str) {
        self.text(key, value);
    }

    /// Several attributes with the same text, which comes again and again.
    fn frequent_texts(&mut self, keys: &[&'static str], value: &str) {
        for key in keys {
            self.frequent_text(key, value);
        }
    }

    /// Attributes with the same address, which comes again and again.
    fn address(&mut self, keys: &AddressKeys, ip: IpAddr) {
        keys.with(ip, |group, tell| self.repeated(group, tell));
    }

    /// An attribute whose text is one of a few.
    fn fixed_text(&mut self, key: &'static str, value: &'static str) {
        self.attribute(KeyValue::new(key, value));
    }

    /// An attribute that is a number.
    fn number(&mut self, key: &'static str, value: i64) {
        self.attribute(KeyValue::new(key, value));
    }

    /// A name and attributes that are the same each time `group` is, as most of a request's are.
    ///
    /// Whoever keeps what it wrote for a group writes that again, and does not call `tell`. Otherwise `tell` is called,
    /// once. Anything that it says but a name and attributes keeps a group from being used again.
    fn repeated(&mut self, group: Repeated<'_>, tell: &mut dyn FnMut(&mut dyn Recording));

    /// An attribute of any kind.
    fn attribute(&mut self, attribute: KeyValue);

    /// Something that has happened already.
    fn event(&mut self, event: Event);

    /// A span that it is linked to.
    fn link(&mut self, link: Link);
}

/// The name of a span, put together by whoever needs it in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanName<'a> {
    /// One of a few.
    Fixed(&'static str),
    /// Any other.
    Text(&'a str),
    /// Two, with a space between.
    Pair(&'a str, &'a str),
}

/// A [`SpanBuilder`] that can be told what a [`Recording`] can.
#[derive(Clone, Debug)]
pub struct Described(SpanBuilder);

// === impl NewSpan ===

impl NewSpan {
    /// A span that starts with this context under this parent.
    #[must_use]
    pub const fn new(
        span_context: SpanContext,
        parent_span_id: SpanId,
        parent_is_remote: bool,
    ) -> Self {
        Self {
            span_context,
            parent_span_id,
            parent_is_remote,
        }
    }
}

// === impl SpanName ===

impl SpanName<'_> {
    /// The name in one piece.
    #[must_use]
    pub fn to_cow(self) -> Cow<'static, str> {
        match self {
            Self::Fixed(name) => Cow::Borrowed(name),
            Self::Text(name) => Cow::Owned(name.to_owned()),
            Self::Pair(first, second) => {
                let mut name = String::with_capacity(first.len() + 1 + second.len());
                name.push_str(first);
                name.push(' ');
                name.push_str(second);
                Cow::Owned(name)
            }
        }
    }
}

// === impl Described ===

impl Described {
    /// Without a name, with room for so many attributes.
    #[must_use]
    pub fn with_capacity(attributes: usize) -> Self {
        Self(SpanBuilder {
            attributes: Some(Vec::with_capacity(attributes)),
            ..SpanBuilder::default()
        })
    }

    /// What was told.
    #[must_use]
    pub fn into_builder(self) -> SpanBuilder {
        self.0
    }

    fn push(&mut self, attribute: KeyValue) {
        self.0.attributes.get_or_insert_default().push(attribute);
    }
}

impl Recording for Described {
    fn name(&mut self, name: SpanName<'_>) {
        self.0.name = name.to_cow();
    }

    fn kind(&mut self, kind: SpanKind) {
        self.0.span_kind = Some(kind);
    }

    fn start_time(&mut self, time: SystemTime) {
        self.0.start_time = Some(time);
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.push(KeyValue::new(key, value.to_owned()));
    }

    fn text_of_parts(&mut self, key: &'static str, parts: &[&str]) {
        self.push(KeyValue::new(key, parts.concat()));
    }

    fn frequent_text(&mut self, key: &'static str, value: &str) {
        self.push(KeyValue::new(key, shared(value)));
    }

    fn frequent_texts(&mut self, keys: &[&'static str], value: &str) {
        let value = shared(value);
        for key in keys {
            self.push(KeyValue::new(*key, value.clone()));
        }
    }

    fn repeated(&mut self, _group: Repeated<'_>, tell: &mut dyn FnMut(&mut dyn Recording)) {
        tell(self);
    }

    fn attribute(&mut self, attribute: KeyValue) {
        self.push(attribute);
    }

    fn event(&mut self, event: Event) {
        self.0.events.get_or_insert_default().push(event);
    }

    fn link(&mut self, link: Link) {
        self.0.links.get_or_insert_default().push(link);
    }
}

/// Tells a recording what is in a builder.
pub(crate) fn tell(builder: SpanBuilder, into: &mut dyn Recording) {
    match &builder.name {
        Cow::Borrowed(name) => into.name(SpanName::Fixed(name)),
        Cow::Owned(name) => into.name(SpanName::Text(name)),
    }
    if let Some(kind) = builder.span_kind {
        into.kind(kind);
    }
    if let Some(time) = builder.start_time {
        into.start_time(time);
    }
    for attribute in builder.attributes.unwrap_or_default() {
        into.attribute(attribute);
    }
    for event in builder.events.unwrap_or_default() {
        into.event(event);
    }
    for link in builder.links.unwrap_or_default() {
        into.link(link);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;

    #[test]
    fn a_builder_is_told_and_tells_everything() {
        let linked = SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        let time = UNIX_EPOCH + Duration::from_secs(1);
        let mut told = Described::with_capacity(4);
        told.name(SpanName::Fixed("first"));
        told.name(SpanName::Pair("GET", "/users/{id}"));
        told.kind(SpanKind::Server);
        told.start_time(time);
        told.text("a", "1");
        told.text_of_parts("ab", &["1", "", "2"]);
        told.frequent_text("b", "2");
        told.frequent_texts(&["b1", "b2"], "2");
        told.fixed_text("c", "3");
        told.number("d", 4);
        told.attribute(KeyValue::new("e", true));
        told.event(Event::new("cached", time, vec![KeyValue::new("f", 5)], 0));
        told.link(Link::with_context(linked.clone()));
        let mut again = Described::with_capacity(0);
        tell(told.into_builder(), &mut again);

        let builder = again.into_builder();
        assert_eq!(builder.name, "GET /users/{id}");
        assert_eq!(builder.span_kind, Some(SpanKind::Server));
        assert_eq!(builder.start_time, Some(time));
        assert_eq!(
            builder.attributes.unwrap(),
            [
                KeyValue::new("a", "1"),
                KeyValue::new("ab", "12"),
                KeyValue::new("b", "2"),
                KeyValue::new("b1", "2"),
                KeyValue::new("b2", "2"),
                KeyValue::new("c", "3"),
                KeyValue::new("d", 4),
                KeyValue::new("e", true),
            ]
        );
        assert_eq!(builder.events.unwrap()[0].name, "cached");
        assert_eq!(builder.links.unwrap()[0].span_context, linked);
    }

    #[test]
    fn a_name_of_one_piece_is_not_copied_if_it_lives_for_ever() {
        assert!(matches!(
            SpanName::Fixed("GET").to_cow(),
            Cow::Borrowed("GET")
        ));
        assert_eq!(SpanName::Text("a b").to_cow(), "a b");
    }
}
