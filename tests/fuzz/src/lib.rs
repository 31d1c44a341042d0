//! What the fuzz targets share: how long they run, and texts that are worth parsing.
//!
//! The read-me says how to run targets and how to add one.

pub mod forwarding;

use std::{env, time::Duration};

use bolero::TypeGenerator;

/// Runs a target: calls `$check` with one text after the other, made of `$words` and other bytes, until the
/// [time](duration) is over or it panics.
#[macro_export]
macro_rules! fuzz {
    ($words:expr, $check:expr) => {
        bolero::check!()
            .with_iterations(usize::MAX)
            .with_test_time($crate::duration())
            .with_type::<Vec<$crate::Piece>>()
            .for_each(|pieces: &Vec<$crate::Piece>| $check(&$crate::text($words, pieces)))
    };
}

/// One step in the making of a text.
///
/// Bytes drawn at random get nowhere in a parser: nearly all of them are refused at the first byte. So texts
/// are made of words that mean something to the parser, with other bytes among them.
#[derive(Clone, Debug, TypeGenerator)]
pub enum Piece {
    /// One of the target's words, counted round and round.
    Word(u8),
    /// Another one, so that words are as frequent as everything else together.
    OtherWord(u8),
    /// Any byte.
    Byte(u8),
    /// The word or byte before, again and again.
    Again(u8),
    /// The last byte is taken away.
    Shorten,
}

/// The text that `pieces` make of `words`, at most 128 KiB of it.
pub fn text(words: &[&str], pieces: &[Piece]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut last: &[u8] = &[];
    for piece in pieces {
        match piece {
            Piece::Word(n) | Piece::OtherWord(n) => {
                last = words[usize::from(*n) % words.len()].as_bytes()
            }
            Piece::Byte(byte) => last = std::slice::from_ref(byte),
            Piece::Again(times) => {
                // Mostly a few times; 961 at most.
                let room = (MAX_BYTES - text.len()) / last.len().max(1);
                text.extend(last.repeat(usize::from(times / 8).pow(2).min(room)));
                continue;
            }
            Piece::Shorten => {
                text.pop();
                continue;
            }
        }
        if text.len() + last.len() <= MAX_BYTES {
            text.extend_from_slice(last);
        }
    }
    text
}

/// How long each target runs: `TOWLINE_FUZZ_SECONDS`, one second if it is not set.
///
/// # Panics
///
/// If the variable is not a number of seconds.
pub fn duration() -> Duration {
    match env::var("TOWLINE_FUZZ_SECONDS") {
        Ok(seconds) => Duration::from_secs(
            seconds
                .parse()
                .expect("TOWLINE_FUZZ_SECONDS is not a number"),
        ),
        Err(_) => Duration::from_secs(1),
    }
}

const MAX_BYTES: usize = 128 * 1024;
