//! What holds for any request, and for bytes that are none.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use towline_forwarder::Place;

use crate::slow::{Draw, Kind};
use crate::wire::{forged, len, long_len, span};
use crate::{alice, arbitrary, check, model, slow};

proptest! {
    #[test]
    fn decodes_to_what_an_edit_of_the_decoded_request_gives(
        request in arbitrary::request(),
        place in prop::sample::select(vec![Place::ResourceAndSpans, Place::Resource, Place::Spans]),
        key in prop::sample::select(vec!["teleport.forwarded.for", "other", "", "a.b", "teleport"]),
    ) {
        let stamp = alice().place(place).key(key);
        let bytes = Bytes::from(request.encode_to_vec());
        let batch = stamp.apply(&bytes).unwrap();

        let mut expected = request;
        model::edit(&mut expected, key, "alice", place);
        let decoded = ExportTraceServiceRequest::decode(batch.bytes().clone()).unwrap();
        prop_assert_eq!(decoded, expected);
        prop_assert_eq!(stamp.apply(batch.bytes()).unwrap(), batch);
    }

    #[test]
    fn edits_what_it_must_and_leaves_every_other_byte(
        request in arbitrary::request(),
        seed in any::<u64>(),
    ) {
        let plain = request.encode_to_vec();
        let disguised = slow::disguised(Kind::Request, &plain, &mut Draw(seed));
        for bytes in [plain, disguised] {
            let batch = check::stamped(&alice(), "alice", &bytes).unwrap();
            prop_assert_eq!(batch.bytes(), &slow::stamped(&bytes));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_harmless(bytes in vec(any::<u8>(), 0..300)) {
        let _ = check::stamped(&alice(), "alice", &bytes);
    }

    #[test]
    fn broken_requests_are_refused_or_harmless(
        request in arbitrary::request(),
        seed in any::<u64>(),
        changes in 1..4,
    ) {
        let mut draw = Draw(seed);
        let mut bytes = slow::disguised(Kind::Request, &request.encode_to_vec(), &mut draw);
        for _ in 0..changes {
            let at = draw.below(bytes.len() + 1);
            let end = (at + draw.below(12)).min(bytes.len());
            let new = match draw.below(6) {
                0 => vec![draw.below(256) as u8],
                1 => len(9, forged()),
                2 => long_len(1, forged()),
                3 => span(len(9, forged())),
                4 => bytes[at..end].to_vec().repeat(2),
                _ => vec![],
            };
            bytes.splice(at..end, new);
        }
        let _ = check::stamped(&alice(), "alice", &bytes);
    }
}
