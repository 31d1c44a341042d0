//! Groups of attributes that come again.

use std::net::Ipv6Addr;
use std::time::UNIX_EPOCH;

use opentelemetry::trace::{Event, SpanId, TraceContextExt};
use opentelemetry::{Context, InstrumentationScope};
use proptest::collection::vec;
use proptest::prelude::*;
use towline_span::{
    AddressKeys, Described, NewSpan, Recorder, Recording, Repeated, SpanName, Teller,
};

use super::{Ways, any_limits, any_trace_state, anything, child_with, parent_with, say};

static CLIENT_AND_PEER: AddressKeys = AddressKeys::new(&["client.address", "network.peer.address"]);
static PEER: AddressKeys = AddressKeys::new(&["network.peer.address"]);

/// A group of one teller: its parts say all that is told of it.
#[derive(Clone, Debug)]
struct Group {
    teller: usize,
    form: u64,
    name: Option<&'static str>,
    attributes: Vec<(&'static str, &'static str)>,
    /// What a group must not have, and is not kept for.
    event: bool,
}

fn any_group() -> impl Strategy<Value = Group> {
    let key = prop_oneof![Just("a"), Just("bb"), Just("a.long.key")];
    let text = prop_oneof![
        Just(""),
        Just("x"),
        Just("/users/{id}"),
        Just("a text of some length")
    ];
    (
        0..2usize,
        0..2u64,
        prop_oneof![
            Just(None),
            Just(Some("")),
            Just(Some("GET")),
            Just(Some("POST /"))
        ],
        vec((key, text), 0..3),
        prop_oneof![9 => Just(false), 1 => Just(true)],
    )
        .prop_map(|(teller, form, name, attributes, event)| Group {
            teller,
            form,
            name,
            attributes,
            event,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// However often a group comes, in whatever spans, after and before whatever else.
    #[test]
    fn groups_that_come_again_are_the_same_as_at_first(
        known in vec(any_group(), 1..4),
        spans in vec((vec(any::<prop::sample::Index>(), 0..5), vec(anything(), 0..2)), 4..12),
        limits in any_limits(),
        chars in prop_oneof![9 => Just(None), 1 => Just(Some(3usize))],
        trace_state in any_trace_state(),
    ) {
        let tellers = [Teller::new(), Teller::new()];
        let ways = Ways::limited(limits);
        ways.exporter.set_attribute_value_length_limit(chars);
        let scope = InstrumentationScope::builder("itself").build();
        let recorder = ways.exporter.recorder(scope, limits);
        for (groups, said) in &spans {
            let tell = |into: &mut dyn Recording| {
                into.start_time(UNIX_EPOCH);
                for group in groups {
                    let group = group.get(&known);
                    // What is in the other form differs by that alone.
                    let parts = format!("{:?}", Group { form: 0, ..group.clone() });
                    let parts = [&b"group"[..], parts.as_bytes()];
                    let repeated = Repeated::new(tellers[group.teller], group.form, &parts);
                    into.repeated(repeated, &mut |into| {
                        if let Some(name) = group.name {
                            into.name(SpanName::Text(name));
                        }
                        for (key, text) in &group.attributes {
                            into.frequent_text(key, text);
                        }
                        into.number("form", group.form as i64);
                        if group.event {
                            into.event(Event::new("event", UNIX_EPOCH, vec![], 0));
                        }
                    });
                    into.number("after", 1);
                }
                into.address(&CLIENT_AND_PEER, [192, 0, 2, 1].into());
                into.address(&PEER, [192, 0, 2, 1].into());
                into.address(&PEER, Ipv6Addr::LOCALHOST.into());
            };
            let describe = || {
                let mut told = Described::with_capacity(0);
                tell(&mut told);
                told.into_builder()
            };
            let parent = parent_with(1, trace_state.clone());
            let by_sdk = ways.by_sdk.start_remote(&Context::new(), parent, &describe);
            let new = NewSpan::new(child_with(trace_state.clone()), SpanId::from(2), true);
            let by_itself = recorder.start(&Context::new(), new, &mut |into| tell(into));
            say(by_sdk.context(), said);
            say(&by_itself, said);
            by_sdk.context().span().end_with_timestamp(UNIX_EPOCH);
            by_itself.span().end_with_timestamp(UNIX_EPOCH);
        }
        ways.assert_same();
    }
}
