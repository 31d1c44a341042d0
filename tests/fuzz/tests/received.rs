//! Any body to the forwarder, over HTTP and in gRPC's frames, compressed or not: an answer that OTLP
//! has, nothing held afterwards, and what arrives is a request that decoders read.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use towline_fuzz::forwarding::Forwarding;

#[test]
fn received() {
    let forwarding = Forwarding::new();
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        let shown = text.escape_ascii().to_string();
        for encoding in [None, Some("gzip"), Some("zstd")] {
            let (status, batch) = forwarding.post("application/x-protobuf", encoding, text);
            assert!(matches!(status, 200 | 400 | 413), "{status}: {shown}");
            assert!(batch.is_none() || status == 200, "{shown}");
            let (code, in_frame) = forwarding.call(encoding, text);
            assert!(matches!(code, 0 | 3 | 8 | 12 | 13), "{code}: {shown}");
            assert!(in_frame.is_none() || code == 0, "{shown}");
            for bytes in batch.into_iter().chain(in_frame) {
                let request = ExportTraceServiceRequest::decode(bytes);
                request.unwrap_or_else(|error| panic!("{error}: {shown}"));
            }
        }
        // Framed and compressed well, whatever is in it.
        let plain = forwarding.post("application/x-protobuf", None, text);
        let packed = forwarding.post("application/x-protobuf", Some("gzip"), &gzip(text));
        assert_eq!(plain, packed, "{shown}");
        let framed = forwarding.call(Some("gzip"), &frame(1, &gzip(text)));
        assert_eq!(plain.1, framed.1, "{shown}");
    });
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).expect("a short message");
    [&[flag], &len.to_be_bytes()[..], message].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

const WORDS: &[&str] = &[
    // A request with a span, plain and in a frame.
    "\n\x04\x12\x02\x12\x00",
    "\x00\x00\x00\x00\x06\n\x04\x12\x02\x12\x00",
    "\n\x08\x12\x06\x12\x04*\x02hi",
    "\n",
    "\x12",
    "\x00",
    "\x01",
    "\x02",
    "\x04",
    "\x00\x00\x00\x00",
    "\x01\x00\x00\x00",
    // A gzip member that is empty, and the beginnings of one and of a zstd frame.
    "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "\x1f",
    "\u{8b}\x08\x00",
    "(\u{b5}/\u{fd}",
    "J!\n\x16teleport.forwarded.for\x12\x07\n\x05alice",
    "\x7f",
];
