//! W3C's headers in a map.
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::ValueIter,
};

use crate::{BAGGAGE, TRACEPARENT, TRACESTATE};

pub(crate) fn any(headers: &HeaderMap, traceparent: bool, baggage: bool) -> bool {
    let mut names = headers.keys();
    if names.len() > MAX_SMALL {
        return (traceparent && headers.contains_key(&TRACEPARENT_NAME))
            || (baggage && headers.contains_key(&BAGGAGE_NAME));
    }
    names.any(|name| match name.as_str().as_bytes() {
        b"traceparent" => traceparent,
        b"baggage" => baggage,
        _ => false,
    })
}

/// Takes every `tracestate` out.
pub(crate) fn remove_tracestate(headers: &mut HeaderMap) {
    let mut names = headers.keys();
    if names.len() > MAX_SMALL || names.any(|name| name.as_str() == "tracestate") {
        headers.remove(&TRACESTATE_NAME);
    }
}

/// The lines of W3C's headers in a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct W3cHeaders<'a> {
    unseen: Option<&'a HeaderMap>,
    traceparent: Option<&'a HeaderValue>,
    tracestate: Option<&'a HeaderValue>,
    baggage: Option<&'a HeaderValue>,
}

/// The values of one header, in their order.
#[derive(Debug)]
pub(crate) enum Lines<'a> {
    AtMostOne(Option<&'a HeaderValue>),
    Any(ValueIter<'a, HeaderValue>),
}

impl<'a> W3cHeaders<'a> {
    #[inline(always)]
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let (mut traceparent, mut tracestate, mut baggage) = (None, None, None);
        let mut unseen = headers.len() > MAX_SMALL;
        if !unseen {
        for (name, line) in headers {
            let place = match name.as_str().as_bytes() {
                b"traceparent" => &mut traceparent,
                b"tracestate" => &mut tracestate,
                b"baggage" => &mut baggage,
                _ => continue,
            };
            unseen |= place.replace(line).is_some();
        }}
        Self { unseen: unseen.then_some(headers), traceparent, tracestate, baggage }
    }

    pub(crate) fn traceparent(&self) -> Lines<'a> {
        self.lines(self.traceparent, &TRACEPARENT_NAME)
    }

    pub(crate) fn tracestate(&self) -> Lines<'a> {
        self.lines(self.tracestate, &TRACESTATE_NAME)
    }

    pub(crate) fn baggage(&self) -> Lines<'a> {
        self.lines(self.baggage, &BAGGAGE_NAME)
    }

    fn lines(&self, one: Option<&'a HeaderValue>, name: &HeaderName) -> Lines<'a> {
        match self.unseen {
            None => Lines::AtMostOne(one),
            Some(headers) => Lines::Any(headers.get_all(name).iter()),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self {
            Self::AtMostOne(line) => line.take(),
            Self::Any(lines) => lines.next(),
        };
        line.map(HeaderValue::as_bytes)
    }
}

const MAX_SMALL: usize = 16;

static TRACEPARENT_NAME: HeaderName = TRACEPARENT;
static TRACESTATE_NAME: HeaderName = TRACESTATE;
static BAGGAGE_NAME: HeaderName = BAGGAGE;
