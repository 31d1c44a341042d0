//! The list: parsing, shortening and writing it.

use std::{fmt, str};

use super::{
    Member, ParseTraceStateError, ParseTraceStateErrorKind as Kind,
    member::{BETWEEN, end_of_run},
};

/// The most members of a list: 32, by the
/// [grammar](https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#tracestate-header-field-values).
pub const MAX_MEMBERS: usize = 32;

/// The most bytes of a `tracestate` that is sent: 4096.
///
/// The specification asks for [at least 512][limits] and sets no upper bound; its grammar allows 16 447. This
/// is eight times what is asked for, room for 31 members of 128 bytes, and still half of what widespread
/// servers accept as one header line (8 KiB), so that what one peer sends cannot make the next one refuse the
/// request.
///
/// [limits]: https://www.w3.org/TR/2024/CRD-trace-context-2-20240328/#tracestate-limits
pub const MAX_BYTES: usize = 4096;

/// A legal `tracestate`: up to [`MAX_MEMBERS`] members with distinct keys, in order.
///
/// It borrows from the header lines and allocates nothing.
///
/// ```
/// use towline_propagation::tracestate::List;
///
/// let list = List::parse([&b"rojo=00f067aa0ba902b7 , , foo@@bar=1"[..], b"", b"congo=t61rcWkgMzE,rojo=2"])?;
/// assert_eq!(list.to_string(), "rojo=00f067aa0ba902b7,foo@@bar=1,congo=t61rcWkgMzE");
/// assert_eq!(list.get("congo"), Some("t61rcWkgMzE"));
///
/// assert!(List::parse([&b"rojo=1,Congo=2"[..]]).is_err(), "an upper-case key");
/// # Ok::<(), towline_propagation::tracestate::ParseTraceStateError>(())
/// ```
#[derive(Clone)]
pub struct List<'a> {
    /// Those before `len`. What is behind is nothing, which takes less to write than empty members.
    members: [Option<Member<'a>>; MAX_MEMBERS],
    len: usize,
}

// === impl List ===

impl<'a> List<'a> {
    /// Reads the values of the `tracestate` headers of one message, as the [module](super) describes.
    ///
    /// # Errors
    ///
    /// If they are not legal; the error names the first thing that is wrong.
    pub fn parse(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ParseTraceStateError> {
        let mut list = Self::default();
        list.read(lines)?;
        Ok(list)
    }

    /// The number of members, at most [`MAX_MEMBERS`].
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of `key`, if it is in the list.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter()
            .find(|member| member.key() == key)
            .map(Member::value)
    }

    /// The members, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Member<'a>> + ExactSizeIterator {
        let members = self.members.iter().take(self.len);
        members.map(|member| member.as_ref().unwrap_or(&NOTHING))
    }

    /// [`parse`](Self::parse) into a list that is empty: one takes a kilobyte, and is not moved about.
    pub(super) fn read(
        &mut self,
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), ParseTraceStateError> {
        let mut members = 0;
        let mut bytes = 0_usize;
        for line in lines {
            // One more for the comma that would join the lines: many empty ones are bounded as well.
            bytes = bytes.saturating_add(line.len()).saturating_add(1);
            if bytes > MAX_READ_BYTES {
                return Err(Kind::TooLong.into());
            }
            let text = text_of(line);
            let mut start = end_of_run(line, 0, BETWEEN);
            while start < line.len() {
                members += 1;
                if members > MAX_MEMBERS {
                    return Err(Kind::TooManyMembers.into());
                }
                let (member, end) = Member::read(line, text, start)?;
                self.push(member);
                start = end_of_run(line, end, BETWEEN);
            }
        }
        Ok(())
    }

    /// Appends `member`, unless its key is there already or the list is full.
    pub(super) fn push(&mut self, member: Member<'a>) {
        if self.get(member.key()).is_none()
            && let Some(place) = self.members.get_mut(self.len)
        {
            *place = Some(member);
            self.len += 1;
        }
    }

    /// Drops members until what is left takes at most `max_bytes`: those over 128 bytes first, then any,
    /// both from the end.
    pub(super) fn shorten(&mut self, max_bytes: usize) {
        self.drop_from_end(max_bytes, |member| {
            member.encoded_len() > LARGE_MEMBER_BYTES
        });
        self.drop_from_end(max_bytes, |_| true);
    }

    /// The bytes of the header's value.
    pub(super) fn encoded_len(&self) -> usize {
        let commas = self.len.saturating_sub(1);
        self.iter().map(Member::encoded_len).sum::<usize>() + commas
    }

    fn drop_from_end(&mut self, max_bytes: usize, candidate: impl Fn(&Member<'_>) -> bool) {
        let mut bytes = self.encoded_len();
        if bytes <= max_bytes {
            return;
        }
        let mut kept = Self::default();
        // Back to front, so that the members that go are the last ones; then front to back again.
        for member in self.iter().rev() {
            if bytes > max_bytes && candidate(member) {
                bytes = bytes.saturating_sub(member.encoded_len() + 1);
            } else {
                kept.push(*member);
            }
        }
        if let Some(members) = kept.members.get_mut(..kept.len) {
            members.reverse();
        }
        *self = kept;
    }
}

impl Default for List<'_> {
    fn default() -> Self {
        Self {
            members: [None; MAX_MEMBERS],
            len: 0,
        }
    }
}

/// The header's value, whatever its length.
impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", member.key(), member.value())?;
        }
        Ok(())
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|member| (member.key(), member.value())))
            .finish()
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for List<'_> {}

/// What is UTF-8 at the left end of `line`.
fn text_of(line: &[u8]) -> &str {
    str::from_utf8(line).unwrap_or_else(|error| {
        let legal = line.get(..error.valid_up_to()).unwrap_or_default();
        str::from_utf8(legal).unwrap_or_default()
    })
}

/// Never seen: all before the length are there.
static NOTHING: Member<'static> = Member::NOTHING;

/// Members over this many bytes are the first to go when a list is too long.
const LARGE_MEMBER_BYTES: usize = 128;

/// The most bytes that are read: twice the longest list that the grammar allows. What is more can only be
/// white space.
const MAX_READ_BYTES: usize = 32 * 1024;
