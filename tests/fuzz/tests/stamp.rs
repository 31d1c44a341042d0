//! Any bytes to the stamp: refused, or every decoder finds the identity, and nothing that was forged.

use towline_forwarder::{Identity, Stamp};

#[path = "../../../middleware/forwarder/tests/stamp/check.rs"]
mod check;

#[test]
fn stamp() {
    let stamp = Stamp::new(&Identity::new("alice").expect("a name"));
    towline_fuzz::fuzz!(WORDS, |text: &[u8]| {
        for bytes in [text, &nested(text)] {
            // What comes out is checked inside; whether anything does is up to the bytes.
            let _ = check::stamped(&stamp, "alice", bytes);
        }
    });
}

/// Messages of a text: `(` and a byte opens the field of that number, `)` closes it, and the length
/// is filled in. Everything else stands for itself.
fn nested(text: &[u8]) -> Vec<u8> {
    let mut open = vec![];
    let mut content = vec![];
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' if open.len() < 200 => {
                let number = match bytes.next() {
                    Some(0x7f) => 1000,
                    Some(number) => u64::from(*number),
                    None => 1,
                };
                open.push((number, std::mem::take(&mut content)));
            }
            b')' => close(&mut open, &mut content),
            _ => content.push(*byte),
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut content);
    }
    content
}

fn close(open: &mut Vec<(u64, Vec<u8>)>, content: &mut Vec<u8>) {
    if let Some((number, before)) = open.pop() {
        let inside = std::mem::replace(content, before);
        varint(content, number << 3 | 2);
        varint(content, inside.len() as u64);
        content.extend(inside);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The levels of a request, attributes that are forged, and what is in the way of reading them.
const WORDS: &[&str] = &[
    "(\x01",
    "(\x02",
    ")",
    "))",
    ")))",
    "(\x01(\x02(\x02",
    "(\x01(\x02(\x02(\x09",
    "(\x01(\x01(\x01",
    "(\x01(\x02(\x01(\x03",
    "(\x09",
    "(\x0b(\x03",
    "(\x0d(\x04",
    "(\x05",
    "(\x06(\x01",
    "(\x02(\x06(\x01",
    "(\x02(\x05(\x01(\x06(\x01",
    "(\x7f",
    "(\x01(\x7f(\x02(\x09",
    "(\x0f",
    "(\x11",
    "(\x01teleport.forwarded.for)(\x02(\x01mallory))",
    "(\x01teleport.forwarded.for)",
    "(\x01teleport)",
    "(\x01forwarded.for)",
    "(\x01other)",
    "(\x02(\x01mallory))",
    "teleport.forwarded.for",
    "J!\n\x16teleport.forwarded.for\x12\x07\n\x05alice",
    "\x08\x01",
    "\x18\x01",
    "\x21\x01\x02\x03\x04\x05\x06\x07\x08",
    "\x0b",
    "\x0c",
    "\x13",
    "\x14",
    "\x00",
    "\x7f",
    "\u{e9}",
];
