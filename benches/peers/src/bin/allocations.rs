//! What a request allocates in each layer, over the bare service. Reallocations count, with their whole new size.
//!
//! A program of its own, since counting costs time. Only the thread that carries the request is looked at.

use towline_peers::path::Path;
use towline_peers::peers::Bench;
use towline_peers::row::say;

/// Requests that are counted together; what a request takes is the same for all of them but for growth of what is shared.
const REQUESTS: usize = 64;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [option, id] = arguments.as_slice() else {
        panic!("expected --path ID");
    };
    assert_eq!(option, "--path");
    let path = Path::by_id(id);
    let mut bench = Bench::new(path);
    bench.check();
    let counted: Vec<_> = bench
        .subjects
        .iter_mut()
        .map(|subject| {
            // The first fill what a thread keeps.
            for _ in 0..4 {
                subject.driver.prepare(REQUESTS);
                subject.driver.run();
            }
            subject.driver.prepare(REQUESTS);
            let info = allocation_counter::measure(|| subject.driver.run());
            let each = |total: u64| total as f64 / REQUESTS as f64;
            (each(info.count_total), each(info.bytes_total))
        })
        .collect();
    for (subject, (count, bytes)) in bench.subjects.iter().zip(&counted) {
        let (mut count, mut bytes) = (*count, *bytes);
        if !subject.is_bare() {
            let (bare_count, bare_bytes) = counted[subject.baseline];
            (count, bytes) = (count - bare_count, bytes - bare_bytes);
        }
        say(subject.name, "allocations", count);
        say(subject.name, "bytes", bytes);
    }
}
