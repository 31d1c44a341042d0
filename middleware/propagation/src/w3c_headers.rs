//! W3C's headers in a map.
//!
//! To look a header up hashes its name a byte at a time, whether it is there or not. Most requests have few headers, and
//! often none of these. So the names of a small map are gone through instead, all of ours at once. In a map of more than
//! [`MAX_SMALL`] names each is looked up as ever, so that what it costs stays bounded.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{Keys, ValueIter},
};

use crate::{BAGGAGE, TRACEPARENT, TRACESTATE};

/// Whether `headers` have a `traceparent` or a `baggage`, of those that are asked for.
pub(crate) fn any(headers: &HeaderMap, traceparent: bool, baggage: bool) -> bool {
    match small(headers) {
        // Names compare without being spelled: those of well-known headers are numbers.
        Some(mut names) => names.any(|name| {
            (traceparent && *name == TRACEPARENT_NAME) || (baggage && *name == BAGGAGE_NAME)
        }),
        None => {
            (traceparent && headers.contains_key(&TRACEPARENT_NAME))
                || (baggage && headers.contains_key(&BAGGAGE_NAME))
        }
    }
}

/// Takes every `tracestate` out.
pub(crate) fn remove_tracestate(headers: &mut HeaderMap) {
    if small(headers).is_none_or(|mut names| names.any(|name| *name == TRACESTATE_NAME)) {
        headers.remove(&TRACESTATE_NAME);
    }
}

/// Where W3C's headers are in a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct W3cHeaders<'a> {
    headers: &'a HeaderMap,
    traceparent: Place<'a>,
    tracestate: Place<'a>,
    baggage: Place<'a>,
}

/// Where one of them is.
#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    Nowhere,
    /// It has this one value.
    Here(&'a HeaderValue),
    /// To be looked up.
    Somewhere,
}

/// The values of one header, in their order.
#[derive(Debug)]
pub(crate) enum Lines<'a> {
    AtMostOne(Option<&'a HeaderValue>),
    Any(ValueIter<'a, HeaderValue>),
}

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
            // Where a name has several values, they are not side by side.
            Some(_) if headers.len() == headers.keys_len() => Self::in_simple(headers),
            Some(names) => Self::among(names, headers),
            None => Self::all(headers, Place::Somewhere),
        }
    }

    /// The values of `traceparent`.
    #[inline]
    pub(crate) fn traceparent(&self) -> Lines<'a> {
        self.traceparent.lines(self.headers, &TRACEPARENT_NAME)
    }

    /// The values of `tracestate`.
    #[inline]
    pub(crate) fn tracestate(&self) -> Lines<'a> {
        self.tracestate.lines(self.headers, &TRACESTATE_NAME)
    }

    /// The values of `baggage`.
    #[inline]
    pub(crate) fn baggage(&self) -> Lines<'a> {
        self.baggage.lines(self.headers, &BAGGAGE_NAME)
    }

    /// In a map where every name has one value.
    #[inline]
    fn in_simple(headers: &'a HeaderMap) -> Self {
        let mut found = Self::all(headers, Place::Nowhere);
        for (name, value) in headers {
            found.note(name, Place::Here(value));
        }
        found
    }

    fn among(names: Keys<'a, HeaderValue>, headers: &'a HeaderMap) -> Self {
        let mut found = Self::all(headers, Place::Nowhere);
        for name in names {
            found.note(name, Place::Somewhere);
        }
        found
    }

    #[inline]
    fn all(headers: &'a HeaderMap, place: Place<'a>) -> Self {
        Self {
            headers,
            traceparent: place,
            tracestate: place,
            baggage: place,
        }
    }

    #[inline]
    fn note(&mut self, name: &HeaderName, place: Place<'a>) {
        match Field::of(name) {
            Some(Field::TraceParent) => self.traceparent = place,
            Some(Field::TraceState) => self.tracestate = place,
            Some(Field::Baggage) => self.baggage = place,
            None => {}
        }
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    #[inline]
    fn lines(self, headers: &'a HeaderMap, name: &HeaderName) -> Lines<'a> {
        match self {
            Self::Nowhere => Lines::AtMostOne(None),
            Self::Here(value) => Lines::AtMostOne(Some(value)),
            Self::Somewhere => Lines::Any(headers.get_all(name).iter()),
        }
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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{MAX_SMALL, Place, W3cHeaders, any as any_of, remove_tracestate};
    use crate::{BAGGAGE, TRACEPARENT, TRACESTATE};

    /// Ours, standard ones and others of the same lengths, others.
    const NAMES: [&str; 16] = [
        "traceparent",
        "tracestate",
        "baggage",
        "retry-after",
        "user-agent",
        "referer",
        "x-trace-par",
        "traceparens",
        "tracestates",
        "x-trace-st",
        "tracestatf",
        "x-trace",
        "baggagf",
        "host",
        "x-request-id",
        "b3",
    ];

    /// What all that goes through names says of a map has to be what lookups say.
    #[track_caller]
    fn agree(headers: &HeaderMap) {
        let asked = |name: &HeaderName| -> Vec<&[u8]> {
            let lines = headers.get_all(name).iter();
            lines.map(HeaderValue::as_bytes).collect()
        };
        // The ways of all maps, whatever the size.
        let is_simple = headers.len() == headers.keys_len();
        let simple = is_simple.then(|| W3cHeaders::in_simple(headers));
        let ways = [
            W3cHeaders::of(headers),
            W3cHeaders::among(headers.keys(), headers),
            W3cHeaders::all(headers, Place::Somewhere),
        ];
        for seen in ways.into_iter().chain(simple) {
            assert!(seen.traceparent().eq(asked(&TRACEPARENT)), "{headers:?}");
            assert!(seen.tracestate().eq(asked(&TRACESTATE)), "{headers:?}");
            assert!(seen.baggage().eq(asked(&BAGGAGE)), "{headers:?}");
        }
        for (traceparent, baggage) in [(false, false), (false, true), (true, false), (true, true)] {
            let expected = (traceparent && headers.contains_key(TRACEPARENT))
                || (baggage && headers.contains_key(BAGGAGE));
            assert_eq!(
                any_of(headers, traceparent, baggage),
                expected,
                "{headers:?}"
            );
        }
        let (mut removed, mut expected) = (headers.clone(), headers.clone());
        remove_tracestate(&mut removed);
        expected.remove(TRACESTATE);
        assert_eq!(removed, expected);
    }

    /// As many names as these, all of the lengths of ours.
    fn others(count: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for n in 0..count {
            let name = match n % 3 {
                0 => format!("x-other-{n:03}"),
                1 => format!("x-othe-{n:03}"),
                _ => format!("x-o-{n:03}"),
            };
            let name = HeaderName::try_from(name).unwrap();
            headers.insert(name, HeaderValue::from_static("traceparent"));
        }
        headers
    }

    #[test]
    fn ours_are_found_in_maps_of_every_size() {
        let ours = [TRACEPARENT, TRACESTATE, BAGGAGE];
        for count in 0..=2 * MAX_SMALL {
            agree(&others(count));
            for name in &ours {
                for lines in [&[""][..], &["1"], &["1", "2"], &["1", "", "1"]] {
                    // First, last and in between, and lines that are not side by side.
                    for place in [0, count / 2, count] {
                        let mut headers = HeaderMap::new();
                        let mut rest = lines.iter();
                        for (index, (other, value)) in others(count).iter().enumerate() {
                            if index >= place
                                && let Some(line) = rest.next()
                            {
                                headers.append(name, HeaderValue::from_static(line));
                            }
                            headers.append(other, value.clone());
                        }
                        for line in rest {
                            headers.append(name, HeaderValue::from_static(line));
                        }
                        agree(&headers);
                        assert_eq!(headers.get_all(name).iter().count(), lines.len());
                    }
                }
            }
        }
    }

    #[test]
    fn several_values_of_another_name_do_not_hide_ours() {
        for count in 1..=2 * MAX_SMALL {
            let mut headers = HeaderMap::new();
            for _ in 0..count {
                headers.append("x-other", HeaderValue::from_static("1"));
            }
            for name in [BAGGAGE, TRACESTATE, TRACEPARENT] {
                headers.append(name, HeaderValue::from_static("2"));
                agree(&headers);
            }
        }
    }

    proptest! {
        #[test]
        fn small_and_large_maps_are_read_alike(
            steps in proptest::collection::vec((0..NAMES.len(), 0..4_u8, "[a-c]{0,2}"), 0..40),
            count in 0..=2 * MAX_SMALL,
        ) {
            let mut headers = others(count);
            for (name, step, value) in steps {
                let name = HeaderName::from_static(NAMES[name]);
                let value = HeaderValue::try_from(value).unwrap();
                match step {
                    0 => drop(headers.remove(name)),
                    1 => drop(headers.insert(name, value)),
                    _ => drop(headers.append(name, value)),
                }
                agree(&headers);
            }
        }
    }
}
