//! The incoming side: from a list to a `TraceState`, and to what has to travel beside it.

use opentelemetry::{
    Context,
    trace::{TraceId, TraceState},
};

use super::{List, Member};

/// What the `tracestate` headers of one message come to.
#[derive(Default)]
pub(crate) struct Incoming {
    /// The members that the API can hold.
    pub(crate) trace_state: TraceState,
    /// The context to go on with, if it is not the one that was given.
    pub(crate) context: Option<Context>,
    /// Whether the headers were illegal, and so ignored.
    pub(crate) rejected: bool,
}

/// A whole incoming list some of whose members a [`TraceState`] cannot hold, as a value of the context.
#[derive(Debug)]
pub(super) struct Beside {
    /// The only trace that the list belongs to.
    trace_id: TraceId,
    /// The list in its own syntax.
    text: Box<str>,
    /// A bit for each member, from the least significant: whether the `TraceState` holds it.
    held: u32,
}

/// Reads the values of the `tracestate` headers of a message whose `traceparent` is legal.
pub(crate) fn incoming<'a>(
    trace_id: TraceId,
    lines: impl IntoIterator<Item = &'a [u8]>,
    base: &Context,
) -> Incoming {
    let mut incoming = Incoming::default();
    let mut lines = lines.into_iter().peekable();
    // Most messages have none, and a list is a kilobyte to set up.
    if lines.peek().is_some() {
        let mut list = List::default();
        match list.read(lines) {
            Ok(()) => match to_trace_state(list.iter()) {
                Some(trace_state) => incoming.trace_state = trace_state,
                None => {
                    let beside = Beside::new(trace_id, &list);
                    incoming.trace_state = beside.held_members();
                    incoming.context = Some(base.with_value(beside));
                    return incoming;
                }
            },
            Err(_) => incoming.rejected = true,
        }
    }
    // An earlier message of the same trace may have left its list in `base`. It is not this one's.
    if Beside::of(base, trace_id).is_some() {
        incoming.context = Some(base.with_value(Beside::new(trace_id, &List::default())));
    }
    incoming
}

// === impl Beside ===

impl Beside {
    fn new(trace_id: TraceId, list: &List<'_>) -> Self {
        // The API is asked member by member, instead of its rules being repeated here: they may change.
        let held = list
            .iter()
            .rev()
            .map(|member| u32::from(to_trace_state([member]).is_some()))
            .fold(0, |held, bit| held << 1 | bit);
        Self {
            trace_id,
            text: list.to_string().into_boxed_str(),
            held,
        }
    }

    /// What `context` carries for the trace `trace_id`.
    pub(super) fn of(context: &Context, trace_id: TraceId) -> Option<&Self> {
        context
            .get::<Self>()
            .filter(|beside| beside.trace_id == trace_id)
    }

    pub(super) fn list(&self) -> List<'_> {
        // It was written from a list, and so is legal.
        List::parse([self.text.as_bytes()]).unwrap_or_default()
    }

    /// Whether the `TraceState` held the member at `index` when the list came in.
    pub(super) const fn holds(&self, index: usize) -> bool {
        self.held >> index & 1 == 1
    }

    fn held_members(&self) -> TraceState {
        let list = self.list();
        let members = list.iter().enumerate();
        let held = members.filter_map(|(index, member)| self.holds(index).then_some(member));
        to_trace_state(held).unwrap_or_default()
    }
}

fn to_trace_state<'a>(members: impl IntoIterator<Item = &'a Member<'a>>) -> Option<TraceState> {
    let pairs = members
        .into_iter()
        .map(|member| (member.key(), member.value()));
    TraceState::from_key_value(pairs).ok()
}
