//! W3C's headers in a map.
//!
//! To look a header up hashes its name a byte at a time, whether it is there or not. Most requests have few headers, and
//! often none of these. So the names of a small map are gone through instead, all of ours at once; what is there is
//! where its name is. In a map of more than [`MAX_SMALL`] names each is looked up as ever, so that what it costs stays
//! bounded.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{Keys, ValueIter},
};

use crate::{BAGGAGE, TRACEPARENT, TRACESTATE};

/// Whether `headers` have a `traceparent` or a `baggage`, of those that are asked for.
pub(crate) fn any(headers: &HeaderMap, traceparent: bool, baggage: bool) -> bool {
    match small(headers) {
        Some(mut names) => names.any(|name| match Field::of(name) {
            Some(Field::TraceParent) => traceparent,
            Some(Field::Baggage) => baggage,
            Some(Field::TraceState) | None => false,
        }),
        None => {
            (traceparent && headers.contains_key(&TRACEPARENT_NAME))
                || (baggage && headers.contains_key(&BAGGAGE_NAME))
        }
    }
}

/// Takes every `tracestate` out.
pub(crate) fn remove_tracestate(headers: &mut HeaderMap) {
    if small(headers)
        .is_none_or(|mut names| names.any(|name| Field::of(name) == Some(Field::TraceState)))
    {
        headers.remove(&TRACESTATE_NAME);
    }
}

/// Where W3C's headers are in a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct W3cHeaders<'a> {
    headers: &'a HeaderMap,
    traceparent: Place,
    tracestate: Place,
    baggage: Place,
}

/// The values of one header, in their order.
#[derive(Debug)]
pub(crate) enum Lines<'a> {
    AtMostOne(Option<&'a HeaderValue>),
    Any(ValueIter<'a, HeaderValue>),
}

/// Where the name of a header is among the names. As a number it stays in a register while names are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    TraceParent,
    TraceState,
    Baggage,
}

// === impl W3cHeaders ===

impl<'a> W3cHeaders<'a> {
    /// Those of `headers`.
    #[inline]
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        match small(headers) {
            Some(names) => Self::among(names, headers),
            None => Self::unknown(headers),
        }
    }

    /// The values of `traceparent`.
    pub(crate) fn traceparent(&self) -> Lines<'a> {
        self.traceparent.lines(self.headers, &TRACEPARENT_NAME)
    }

    /// The values of `tracestate`.
    pub(crate) fn tracestate(&self) -> Lines<'a> {
        self.tracestate.lines(self.headers, &TRACESTATE_NAME)
    }

    /// The values of `baggage`.
    pub(crate) fn baggage(&self) -> Lines<'a> {
        self.baggage.lines(self.headers, &BAGGAGE_NAME)
    }

    #[inline]
    fn among(names: Keys<'a, HeaderValue>, headers: &'a HeaderMap) -> Self {
        let mut found = Self {
            headers,
            traceparent: Place::NOWHERE,
            tracestate: Place::NOWHERE,
            baggage: Place::NOWHERE,
        };
        for (index, name) in names.enumerate() {
            match Field::of(name) {
                Some(Field::TraceParent) => found.traceparent = Place(index),
                Some(Field::TraceState) => found.tracestate = Place(index),
                Some(Field::Baggage) => found.baggage = Place(index),
                None => {}
            }
        }
        found
    }

    const fn unknown(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            traceparent: Place::UNKNOWN,
            tracestate: Place::UNKNOWN,
            baggage: Place::UNKNOWN,
        }
    }
}

// === impl Place ===

impl Place {
    const NOWHERE: Self = Self(usize::MAX);
    /// Nobody has looked.
    const UNKNOWN: Self = Self(usize::MAX - 1);

    #[inline]
    fn lines<'a>(self, headers: &'a HeaderMap, name: &HeaderName) -> Lines<'a> {
        if self == Self::NOWHERE {
            return Lines::AtMostOne(None);
        }
        // Where a name has several values, names and values are not side by side.
        if self != Self::UNKNOWN
            && headers.len() == headers.keys_len()
            && let Some((found, line)) = headers.iter().nth(self.0)
            && found == name
        {
            return Lines::AtMostOne(Some(line));
        }
        Lines::Any(headers.get_all(name).iter())
    }
}

// === impl Lines ===

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let line = match self {
            Self::AtMostOne(line) => line.take(),
            Self::Any(lines) => lines.next(),
        };
        line.map(HeaderValue::as_bytes)
    }
}

// === impl Field ===

impl Field {
    /// Which of them `name` is. The length alone tells most other names apart.
    #[inline(always)]
    fn of(name: &HeaderName) -> Option<Self> {
        match name.as_str() {
            "traceparent" => Some(Self::TraceParent),
            "tracestate" => Some(Self::TraceState),
            "baggage" => Some(Self::Baggage),
            _ => None,
        }
    }
}

/// The names of `headers`, if they are few enough to be gone through.
#[inline]
fn small(headers: &HeaderMap) -> Option<Keys<'_, HeaderValue>> {
    let names = headers.keys();
    (names.len() <= MAX_SMALL).then_some(names)
}

/// The most names that are gone through: about where two lookups take as many instructions.
const MAX_SMALL: usize = 16;

// A constant is made, and dropped, wherever it is used.
static TRACEPARENT_NAME: HeaderName = TRACEPARENT;
static TRACESTATE_NAME: HeaderName = TRACESTATE;
static BAGGAGE_NAME: HeaderName = BAGGAGE;
