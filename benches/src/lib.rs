//! What the benches share: a ratio that a noisy machine cannot bend much.
//!
//! Run one with `cargo bench -p towline-benches --bench encoder`; with `-- --test` everything runs
//! once, so that it cannot rot.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench is run by people, and may fail"
)]

use std::time::{Duration, Instant};

/// Times two ways to do the same in turns and prints the time of each, per item, and their ratio.
///
/// Each round prepares `items` inputs (not timed) for one side and then the other, so that whatever
/// slows the machine down slows down both. The quickest round of each counts: noise only ever adds.
pub fn compare<T>(
    name: &str,
    items: usize,
    mut prepare: impl FnMut() -> T,
    (our_name, mut ours): (&str, impl FnMut(T)),
    (peer_name, mut peer): (&str, impl FnMut(T)),
) {
    let rounds = if std::env::args().any(|argument| argument == "--test") {
        1
    } else {
        400
    };
    let (mut our_best, mut peer_best) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        our_best = our_best.min(timed(&mut ours, prepare()));
        peer_best = peer_best.min(timed(&mut peer, prepare()));
    }
    let nanos = |time: Duration| time.as_nanos() as f64 / items as f64;
    println!(
        "{name}: {our_name} {:.0} ns, {peer_name} {:.0} ns, ratio {:.3}",
        nanos(our_best),
        nanos(peer_best),
        our_best.as_secs_f64() / peer_best.as_secs_f64(),
    );
}

fn timed<T>(work: &mut impl FnMut(T), input: T) -> Duration {
    let start = Instant::now();
    work(input);
    start.elapsed()
}
