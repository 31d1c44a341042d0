//! Any bytes as a batch: spans are counted as a decoder finds them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use towline_otlp::Batch;

#[test]
fn encoded_batch() {
    towline_fuzz::fuzz!(WORDS, |bytes: &[u8]| {
        let batch = Batch::parse(bytes.to_vec());
        // The walk goes less deep than a decoder, and so takes more; never less.
        let Ok(request) = ExportTraceServiceRequest::decode(bytes) else {
            return;
        };
        let batch = batch.expect("what a decoder takes");
        let count = |request: &ExportTraceServiceRequest| {
            let scopes = request
                .resource_spans
                .iter()
                .flat_map(|resource| &resource.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum::<usize>()
        };
        assert_eq!(batch.spans(), count(&request));
        let pieces = batch.split(bytes.len() / 2);
        let whole = Batch::concat(pieces.clone());
        let decoded = ExportTraceServiceRequest::decode(whole.bytes().clone()).expect("pieces");
        assert_eq!(count(&decoded), batch.spans());
        assert_eq!(whole.spans(), batch.spans());
        for piece in &pieces {
            let fits = piece.len_bytes() <= bytes.len() / 2 || piece.spans() == 1;
            assert!(
                fits || pieces.len() == 1,
                "{} of {}",
                piece.len_bytes(),
                bytes.len()
            );
        }
        let twice = Batch::concat([batch.clone(), batch]);
        let decoded =
            ExportTraceServiceRequest::decode(twice.bytes().clone()).expect("two requests");
        assert_eq!(count(&decoded), twice.spans());
        assert_eq!(
            decoded.resource_spans.len(),
            2 * request.resource_spans.len()
        );
    });
}

/// Keys and lengths of the three levels, groups, and what is no key at all.
const WORDS: &[&str] = &[
    "\n\x04\x12\x02\x12\x00",
    "\n\x06\x12\x04\x12\x00\x12\x00",
    "\n\x00",
    "\n\x02\x12\x00",
    "\n",
    "\x12",
    "\x00",
    "\x01",
    "\x02",
    "\x08\x01",
    "\x0b\x0c",
    "\x0b",
    "\x0c",
    "\x0d\x01\x02\x03\x04",
    "\x7f",
];
