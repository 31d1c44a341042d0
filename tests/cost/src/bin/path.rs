//! Takes one path, to be counted by callgrind: `towline-cost-path ID bare` or `towline-cost-path ID with`.

use towline_cost::callgrind::{INPUTS, Side};
use towline_cost::path::Path;
use towline_cost::work::{counted_by_callgrind, one_by_one};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [id, side] = arguments.as_slice() else {
        panic!("expected the path and which side of it");
    };
    let path = Path::by_id(id).unwrap_or_else(|| panic!("there is no path {id:?}"));
    let side = Side::by_name(side).unwrap_or_else(|| panic!("there is no side {side:?}"));
    let mut subject = path.subject();
    subject.warm_up();
    let (work, spans) = match side {
        Side::Bare => (&mut subject.bare, 0),
        Side::With => (&mut subject.with, INPUTS),
    };
    one_by_one(&mut **work, INPUTS, counted_by_callgrind);
    let expected = path.attributes.map_or(0, |_| spans);
    let recorded = subject.recorded_since_warm_up().spans;
    assert_eq!(recorded, expected, "spans of {id}");
}
