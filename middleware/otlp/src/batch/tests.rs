use super::*;
use crate::wire::put_varint;

#[test]
fn counts_the_spans_of_every_resource_and_scope() {
    let request = [
        0x0a, 10, 0x0a, 0, 0x12, 6, 0x0a, 0, 0x12, 0, 0x12, 0, // resource, scope, two spans
        0x0a, 4, 0x12, 2, 0x12, 0, // one span
        0x0a, 0, // nothing
        0x12, 1, 0xff, // a field of a later version
    ];
    assert_eq!(Batch::parse(request.to_vec()).unwrap().spans(), 3);
}

#[test]
fn an_empty_request_is_a_batch_without_spans() {
    let batch = Batch::parse(Bytes::new()).unwrap();
    assert!(batch.is_empty());
    assert_eq!(batch, Batch::default());
}

#[test]
fn says_where_the_structure_breaks() {
    for (bytes, level) in [
        (&[0x0a, 9][..], "request"),
        (&[0x08, 1], "request"),
        (&[0x0a, 2, 0x12, 5], "resource_spans"),
        (&[0x0a, 4, 0x12, 2, 0x10, 1], "scope_spans"),
    ] {
        let error = Batch::parse(bytes.to_vec()).unwrap_err();
        assert!(error.to_string().contains(level), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn concatenation_keeps_order_and_count() {
    let batch = |bytes: &'static [u8], spans| Batch::from_encoded(Bytes::from_static(bytes), spans);
    assert_eq!(Batch::concat([]), Batch::default());
    assert_eq!(
        Batch::concat([batch(b"a", 1), batch(b"bc", 2), batch(b"d", 3)]),
        batch(b"abcd", 6)
    );
}

#[test]
fn a_single_batch_is_not_copied() {
    let batch = Batch::from_encoded(Bytes::from(vec![1, 2, 3]), 1);
    assert_eq!(
        Batch::concat([batch.clone()]).bytes().as_ptr(),
        batch.bytes().as_ptr()
    );
}

/// A span with a name of so many bytes, in its scope and its resource, with fields of a later
/// version at every level.
fn request(sizes: &[&[&[u8]]]) -> Batch {
    let nest = |number: u8, content: &[u8]| {
        let mut out = vec![number << 3 | 2];
        put_varint(&mut out, content.len() as u64);
        out.extend_from_slice(content);
        out
    };
    let (mut request, mut spans) = (vec![], 0);
    for scopes in sizes {
        let mut resource = nest(1, b"");
        for (index, names) in scopes.iter().enumerate() {
            let mut scope = nest(1, &nest(1, &[b'a' + index as u8]));
            for size in *names {
                let name = vec![b'x'; usize::from(*size)];
                scope.extend(nest(2, &nest(5, &name)));
                spans += 1;
            }
            // After the content, with a varint and with a group.
            scope.extend([0x50, 7]);
            resource.extend(nest(2, &scope));
        }
        resource.extend([0x53, 0x08, 1, 0x54]);
        request.extend(nest(1, &resource));
    }
    let batch = Batch::parse(request).unwrap();
    assert_eq!(batch.spans(), spans);
    batch
}

#[test]
fn pieces_have_the_same_spans_with_their_envelopes() {
    let batch = request(&[&[&[10, 20], &[], &[5]], &[&[1, 1, 1, 200]], &[]]);
    for max_bytes in [0, 1, 40, 60, 100, 150, 250, 299, 10_000] {
        let pieces = batch.split(max_bytes);
        for piece in &pieces {
            assert_eq!(Batch::parse(piece.bytes().clone()).as_ref(), Ok(piece));
            assert!(
                piece.len_bytes() <= max_bytes || piece.spans() == 1,
                "{max_bytes}"
            );
            assert!(!piece.is_empty());
        }
        assert_eq!(
            flat(&pieces),
            flat(std::slice::from_ref(&batch)),
            "{max_bytes}"
        );
    }
    assert_eq!(batch.split(0).len(), 7);
}

/// Resource and scope envelope of each span, and the span.
fn flat(batches: &[Batch]) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let mut flat = vec![];
    for batch in batches {
        for resource in messages(batch.bytes(), 1, "") {
            let resource = resource.unwrap();
            for scope in messages(resource, 2, "") {
                let scope = scope.unwrap();
                for span in messages(scope, 2, "") {
                    flat.push((rest(resource), rest(scope), span.unwrap().to_vec()));
                }
            }
        }
    }
    flat
}

/// The fields of a message besides number 2, each as it reads.
fn rest(message: &[u8]) -> Vec<u8> {
    Reader::new(message)
        .map(Result::unwrap)
        .filter(|field| field.number != 2)
        .flat_map(|field| format!("{field:?}").into_bytes())
        .collect()
}

#[test]
fn what_fits_or_cannot_be_read_is_not_copied() {
    let whole = request(&[&[&[10, 20]]]);
    let broken = Batch::from_encoded(Bytes::from_static(&[0x0a, 9, 1, 1]), 2);
    for (batch, max_bytes) in [(&whole, whole.len_bytes()), (&broken, 1)] {
        let pieces = batch.split(max_bytes);
        assert_eq!(pieces, std::slice::from_ref(batch));
        assert_eq!(pieces[0].bytes().as_ptr(), batch.bytes().as_ptr());
    }
}

#[test]
fn debug_shows_no_content() {
    let batch = Batch::from_encoded(Bytes::from_static(b"secret"), 1);
    assert_eq!(format!("{batch:?}"), "Batch { spans: 1, len_bytes: 6 }");
}
