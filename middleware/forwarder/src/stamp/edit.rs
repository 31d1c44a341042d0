use towline_otlp::wire::{put_len, put_varint, varint_len, wire_type};

use super::schema;

/// The longest request that is read and written: where protobuf ends. So positions and lengths fit
/// into 32 bits.
pub(super) const MAX_REQUEST_BYTES: usize = i32::MAX as usize;

/// What takes the place of some bytes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    at: u32,
    cut: u32,
    put: Put,
}

#[derive(Clone, Copy, Debug)]
enum Put {
    Nothing,
    /// Key and length of a message.
    Head {
        field: u8,
        len: u32,
    },
    /// The attribute, as this field.
    Attribute {
        field: u8,
    },
    /// A resource that holds the attribute and nothing else.
    Resource,
}

/// All edits of a request, in the order of their places, none inside of another.
#[derive(Debug)]
pub(super) struct Edits<'a> {
    /// The attribute with its length before it.
    attribute: &'a [u8],
    list: Vec<Edit>,
    /// Bytes that the edits put and cut. The two are apart so that neither is ever negative.
    put: usize,
    cut: usize,
    /// Those of `put` that are new.
    stamped: usize,
}

/// A message that is being walked over: where its edits begin.
#[derive(Debug)]
pub(super) struct Open {
    edits: usize,
    put: usize,
    cut: usize,
}

/// A nested message as it stands in the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Its field number, which is written if the message changes.
    pub(super) field: u32,
    /// Where its key starts and its content starts.
    pub(super) start: usize,
    pub(super) content: usize,
    /// The length of the content.
    pub(super) len: usize,
}

// === impl Edits ===

impl<'a> Edits<'a> {
    /// `attribute` has its length before it.
    pub(super) fn new(attribute: &'a [u8], request: &[u8]) -> Self {
        Self {
            attribute,
            // Two for each span, and few spans have less than 200 bytes.
            list: Vec::with_capacity(request.len() / 100 + 8),
            put: 0,
            cut: 0,
            stamped: 0,
        }
    }

    /// The bytes that were added to the request, without lengths.
    pub(super) const fn stamped(&self) -> usize {
        self.stamped
    }

    /// Begins a nested message.
    #[inline]
    pub(super) fn open(&mut self) -> Open {
        let open = Open {
            edits: self.list.len(),
            put: self.put,
            cut: self.cut,
        };
        // The place of its head.
        self.push(0, 0, Put::Nothing);
        open
    }

    /// Ends a nested message. Its head is written anew if something inside has changed, or if it is
    /// `moved` to another field.
    #[inline]
    pub(super) fn close(&mut self, open: &Open, head: Head, moved: bool) {
        if self.list.len() == open.edits + 1 && !moved {
            self.list.pop();
            return;
        }
        let len = head.len + (self.put - open.put) - (self.cut - open.cut);
        self.put += key_len(head.field) + varint_len(len as u64);
        self.cut += head.content - head.start;
        if let Some(edit) = self.list.get_mut(open.edits) {
            *edit = Edit {
                at: head.start as u32,
                cut: (head.content - head.start) as u32,
                put: Put::Head {
                    field: head.field as u8,
                    len: len as u32,
                },
            };
        }
    }

    /// Removes what stands between `start` and `end`.
    pub(super) fn remove(&mut self, start: usize, end: usize) {
        self.cut += end - start;
        match self.list.last_mut() {
            // One edit for all of a run, so that they never take more room than what they remove.
            Some(last)
                if matches!(last.put, Put::Nothing) && (last.at + last.cut) as usize == start =>
            {
                last.cut += (end - start) as u32;
            }
            _ => self.push(start, end - start, Put::Nothing),
        }
    }

    /// Adds the attribute at `at`, as `field`.
    #[inline]
    pub(super) fn add_attribute(&mut self, at: usize, field: u32) {
        self.add(
            at,
            key_len(field) + self.attribute.len(),
            Put::Attribute { field: field as u8 },
        );
    }

    /// Adds a resource with the attribute at `at`.
    pub(super) fn add_resource(&mut self, at: usize) {
        let content = key_len(schema::RESOURCE_ATTRIBUTES) + self.attribute.len();
        let head = key_len(schema::RESOURCE) + varint_len(content as u64);
        self.add(at, head + content, Put::Resource);
    }

    /// The bytes of the edited request.
    pub(super) const fn edited_len(&self, request: &[u8]) -> usize {
        request.len() + self.put - self.cut
    }

    /// What the edits themselves take.
    pub(super) const fn noted_bytes(&self) -> usize {
        self.list.capacity() * size_of::<Edit>()
    }

    /// Whether nothing changes.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The edited request; `None` if the edits are not of this request.
    pub(super) fn apply(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.edited_len(request));
        let mut rest = request;
        let mut done = 0usize;
        for edit in &self.list {
            let (kept, behind) = rest.split_at_checked((edit.at as usize).checked_sub(done)?)?;
            out.extend_from_slice(kept);
            match edit.put {
                Put::Nothing => {}
                Put::Head { field, len } => put_len(&mut out, u32::from(field), len as usize),
                Put::Attribute { field } => self.put_attribute(&mut out, u32::from(field)),
                Put::Resource => {
                    let content = key_len(schema::RESOURCE_ATTRIBUTES) + self.attribute.len();
                    put_len(&mut out, schema::RESOURCE, content);
                    self.put_attribute(&mut out, schema::RESOURCE_ATTRIBUTES);
                }
            }
            (_, rest) = behind.split_at_checked(edit.cut as usize)?;
            done = (edit.at + edit.cut) as usize;
        }
        out.extend_from_slice(rest);
        (out.len() == self.edited_len(request)).then_some(out)
    }

    fn put_attribute(&self, out: &mut Vec<u8>, field: u32) {
        put_varint(out, u64::from(field << 3 | wire_type::LEN));
        out.extend_from_slice(self.attribute);
    }

    fn add(&mut self, at: usize, len: usize, put: Put) {
        self.put += len;
        self.stamped += len;
        self.push(at, 0, put);
    }

    fn push(&mut self, at: usize, cut: usize, put: Put) {
        self.list.push(Edit {
            at: at as u32,
            cut: cut as u32,
            put,
        });
    }
}

const fn key_len(field: u32) -> usize {
    varint_len((field << 3) as u64)
}
