use std::str;

use towline_otlp::wire::{MAX_DEPTH, Malformed, Payload, Reader};

use super::edit::{Edits, Head};
use super::error::StampError;
use super::plain::split_plain;
use super::schema::{
    Form, KEY, LIBRARY_SPANS, Message, RESOURCE, RESOURCE_ATTRIBUTES, SCOPE_SPANS, SPAN_ATTRIBUTES,
    VALUE,
};
use super::{Place, Stamp};

/// A walk over a request that checks it and notes what has to be edited.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    stamp: &'a Stamp,
    edits: Edits<'a>,
    spans: usize,
}

/// A message that is walked over.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    message: Message,
    content: &'a [u8],
    /// Where the content starts in the request.
    at: usize,
    /// How deep messages may nest in it.
    depth: usize,
    /// The key of an attribute in here that would be ours to a reader who joins the keys of nested
    /// values with dots.
    path: Option<&'a [u8]>,
}

/// The fields of a message.
#[derive(Debug)]
struct Fields<'a> {
    part: Part<'a>,
    reader: Reader<'a>,
    /// Where the next field starts in the request.
    at: usize,
}

/// A field, and where it stands in the request.
#[derive(Clone, Copy, Debug)]
struct Field<'a> {
    number: u32,
    payload: Payload<'a>,
    start: usize,
    end: usize,
}

// === impl Walk ===

impl<'a> Walk<'a> {
    /// Walks over a whole request.
    pub(super) fn over(stamp: &'a Stamp, request: &'a [u8]) -> Result<Self, StampError> {
        let mut walk = Self {
            stamp,
            edits: Edits::new(&stamp.attribute, request),
            spans: 0,
        };
        walk.message(Part {
            message: Message::Request,
            content: request,
            at: 0,
            // One less than decoders have in common: they differ in what they take at the limit.
            depth: MAX_DEPTH - 1,
            path: Some(stamp.key.as_bytes()),
        })?;
        Ok(walk)
    }

    /// What has to be edited.
    pub(super) const fn edits(&self) -> &Edits<'a> {
        &self.edits
    }

    /// How many spans there are.
    pub(super) const fn spans(&self) -> usize {
        self.spans
    }

    fn message(&mut self, part: Part<'a>) -> Result<(), StampError> {
        if part.message == Message::ResourceSpans {
            return self.resource_spans(part);
        }
        let mut fields = part.fields();
        // A plain attribute is two messages deep.
        let attributes = part.message.attributes().filter(|_| part.depth >= 2);
        loop {
            while let Some(attributes) = attributes
                && let Some((key, behind)) = split_plain(fields.reader.rest(), attributes)
            {
                let start = fields.at;
                fields.skip_to(behind);
                if self.is_ours(part, key) {
                    self.edits.remove(start, fields.at);
                }
            }
            match fields.next() {
                Some(field) => self.field(part, field?)?,
                None => return Ok(()),
            }
        }
    }

    #[inline]
    fn field(&mut self, part: Part<'a>, field: Field<'a>) -> Result<(), StampError> {
        let Some(form) = part.message.form(field.number) else {
            // Of another version: it stays as it is.
            return Ok(());
        };
        match (form, field.payload) {
            (Form::Text, Payload::Len(text)) => part.check_text(field, text),
            (Form::Attribute, Payload::Len(content)) => {
                self.attribute(part.nested(Message::KeyValue, field, content)?, field)
            }
            (Form::Message(message), Payload::Len(content)) => {
                let nested = part.nested(message, field, content)?;
                self.nested(nested, field, field.number, message == Message::Span)
            }
            (Form::TraceId, Payload::Len(id)) => part.check_id(field, id, 16),
            (Form::SpanId, Payload::Len(id)) => part.check_id(field, id, 8),
            (Form::Bytes, Payload::Len(_))
            | (Form::Varint, Payload::Varint(_))
            | (Form::Fixed32, Payload::Fixed32)
            | (Form::Fixed64, Payload::Fixed64) => Ok(()),
            _ => Err(part.malformed(field.start, Malformed::WireType)),
        }
    }

    /// Walks over a nested message, which in the edited request is the field `number`.
    #[inline]
    fn nested(
        &mut self,
        nested: Part<'a>,
        field: Field<'a>,
        number: u32,
        stamped: bool,
    ) -> Result<(), StampError> {
        let open = self.edits.open();
        self.message(nested)?;
        if stamped {
            self.stamp(nested, field.end)?;
        }
        self.edits
            .close(&open, field.head(number, nested), number != field.number);
        Ok(())
    }

    /// Adds the attribute at the end of a span or a resource, if that is where it goes.
    fn stamp(&mut self, part: Part<'a>, end: usize) -> Result<(), StampError> {
        if part.message == Message::Span {
            self.spans += 1;
            if self.spans > self.stamp.max_spans {
                return Err(StampError::too_many_spans(self.stamp.max_spans));
            }
            if self.stamp.place != Place::Resource {
                self.edits.add_attribute(end, SPAN_ATTRIBUTES);
            }
        } else {
            self.edits.add_attribute(end, RESOURCE_ATTRIBUTES);
        }
        self.check_size()
    }

    /// Ends the walk as soon as it is known that the request gets too large: what the walk takes
    /// note of must not grow without a bound either.
    const fn check_size(&self) -> Result<(), StampError> {
        if self.edits.stamped() > self.stamp.max_bytes {
            return Err(StampError::too_large(self.stamp.max_bytes));
        }
        Ok(())
    }

    fn resource_spans(&mut self, part: Part<'a>) -> Result<(), StampError> {
        // Decoders merge two resources into one, or take the last: it is stamped either way.
        let (mut last_resource, mut scope_spans) = (None, false);
        for field in part.fields() {
            let field = field?;
            match field.number {
                RESOURCE => last_resource = Some(field.start),
                SCOPE_SPANS => scope_spans = true,
                _ => {}
            }
        }
        let place_resource = self.stamp.place != Place::Spans;
        if place_resource && last_resource.is_none() {
            self.edits.add_resource(part.at);
            self.check_size()?;
        }
        for field in part.fields() {
            let field = field?;
            match (field.number, field.payload) {
                (RESOURCE, Payload::Len(content)) => {
                    let nested = part.nested(Message::Resource, field, content)?;
                    let stamped = place_resource && last_resource == Some(field.start);
                    self.nested(nested, field, RESOURCE, stamped)?;
                }
                (LIBRARY_SPANS, Payload::Len(_)) if scope_spans => {
                    self.edits.remove(field.start, field.end);
                }
                (LIBRARY_SPANS, Payload::Len(content)) => {
                    let nested = part.nested(Message::ScopeSpans, field, content)?;
                    self.nested(nested, field, SCOPE_SPANS, false)?;
                }
                _ => self.field(part, field)?,
            }
        }
        Ok(())
    }

    /// Removes an attribute if it is ours, and looks into its value if not.
    #[inline]
    fn attribute(&mut self, pair: Part<'a>, field: Field<'a>) -> Result<(), StampError> {
        let (mut key, mut keys, mut forged) = (&b""[..], 0usize, false);
        let (mut value, mut values) = (None, 0usize);
        for found in pair.fields() {
            let found = found?;
            match (found.number, found.payload) {
                (KEY, Payload::Len(text)) => {
                    pair.check_text(found, text)?;
                    // The last key counts. That none of the others is ours is for readers that
                    // hold it otherwise.
                    forged |= keys > 0 && self.is_ours(pair, key);
                    (key, keys) = (text, keys + 1);
                }
                (VALUE, Payload::Len(content)) => {
                    (value, values) = (Some((found, content)), values + 1);
                }
                _ => self.field(pair, found)?,
            }
        }
        if forged || self.is_ours(pair, key) {
            self.edits.remove(field.start, field.end);
            return Ok(());
        }
        let inside = Part {
            path: pair.path.and_then(|path| below(path, key)),
            ..pair
        };
        let open = self.edits.open();
        match value {
            Some((found, content)) if values == 1 => self.value(inside, found, content)?,
            Some(_) => {
                // Decoders merge them.
                for found in pair.fields() {
                    let found = found?;
                    if let (VALUE, Payload::Len(content)) = (found.number, found.payload) {
                        self.value(inside, found, content)?;
                    }
                }
            }
            None => {}
        }
        self.edits
            .close(&open, field.head(field.number, pair), false);
        Ok(())
    }

    #[inline]
    fn value(
        &mut self,
        pair: Part<'a>,
        field: Field<'a>,
        content: &'a [u8],
    ) -> Result<(), StampError> {
        let value = pair.nested(Message::AnyValue, field, content)?;
        self.nested(value, field, VALUE, false)
    }

    #[inline]
    fn is_ours(&self, pair: Part<'a>, key: &[u8]) -> bool {
        key == self.stamp.key.as_bytes() || pair.path == Some(key)
    }
}

// === impl Part ===

impl<'a> Part<'a> {
    #[inline]
    const fn fields(self) -> Fields<'a> {
        Fields {
            reader: Reader::strict(self.content),
            at: self.at,
            part: self,
        }
    }

    /// The message in `field`.
    #[inline]
    fn nested(
        self,
        message: Message,
        field: Field<'a>,
        content: &'a [u8],
    ) -> Result<Self, StampError> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(self.malformed(field.start, Malformed::Depth));
        };
        Ok(Self {
            message,
            content,
            at: field.end - content.len(),
            depth,
            path: self.path,
        })
    }

    #[inline]
    fn check_text(self, field: Field<'a>, text: &[u8]) -> Result<(), StampError> {
        if text.is_ascii() || str::from_utf8(text).is_ok() {
            Ok(())
        } else {
            Err(self.malformed(field.start, Malformed::Utf8))
        }
    }

    #[inline]
    const fn check_id(self, field: Field<'a>, id: &[u8], bytes: usize) -> Result<(), StampError> {
        if id.is_empty() || id.len() == bytes {
            Ok(())
        } else {
            Err(self.malformed(field.start, Malformed::Id))
        }
    }

    const fn malformed(self, at: usize, source: Malformed) -> StampError {
        StampError::malformed(self.message, at, source)
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Goes on with `behind`, which is the end of what has not been read yet.
    #[inline]
    const fn skip_to(&mut self, behind: &'a [u8]) {
        self.at += self.reader.rest().len() - behind.len();
        self.reader = Reader::strict(behind);
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, StampError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        match self.reader.next()? {
            Ok(field) => {
                let read = self.part.content.len() - self.reader.rest().len();
                self.at = self.part.at + read;
                Some(Ok(Field {
                    number: field.number,
                    payload: field.payload,
                    start,
                    end: self.at,
                }))
            }
            Err(source) => Some(Err(self.part.malformed(start, source))),
        }
    }
}

// === impl Field ===

impl Field<'_> {
    #[inline]
    const fn head(&self, number: u32, content: Part<'_>) -> Head {
        Head {
            field: number,
            start: self.start,
            content: content.at,
            len: content.content.len(),
        }
    }
}

/// What is left of `path` behind `key` and a dot.
#[inline]
fn below<'a>(path: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(key)?.strip_prefix(b".")
}
