//! Tables of what a request takes through each layer.

use std::collections::BTreeMap;

use crate::path::{Path, Protocol};
use crate::peers::{CURRENT, ENDING, OURS, OURS_ON_SDK, PLAIN, ROOM, SENT};
use crate::row::{Effort, NANOS, Said, listen, listen_often, measure, number_of};
use crate::table::{Table, version_of};

/// Measures every path, or those that are named on the command line, each in a process of its own, and prints the tables.
///
/// # Panics
///
/// When a path is not one of them, or a layer does not do what it is measured for.
pub fn run(program: &str, paths: &'static [Path]) {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["--path", id] => return measure(Path::by_id(id), Effort::from_env(), None),
        ["--path", id, "--only", name] => {
            return measure(Path::by_id(id), Effort::from_env(), Some(name));
        }
        _ => {}
    }
    let unknown = arguments
        .iter()
        .find(|id| paths.iter().all(|path| path.id != **id));
    assert_eq!(unknown, None, "a path that there is not");
    let is_wanted = |path: &&Path| arguments.is_empty() || arguments.contains(&path.id);
    for path in paths.iter().filter(is_wanted) {
        let processes = Effort::from_env().processes;
        let times = listen_often(program, &["--path", path.id], processes);
        let allocations = listen("allocations", &["--path", path.id]);
        if matches!(
            path.id,
            "caller-sampled" | "client-sampled" | "grpc-caller-sampled"
        ) {
            facts(path, &times);
        }
        costs(path, &times, &allocations);
    }
}

/// What each does, as it was found by looking.
fn facts(path: &Path, said: &Said) {
    let side = match (path.protocol, path.is_client) {
        (Protocol::Http, true) => "client",
        (Protocol::Http, false) => "server",
        _ => "gRPC server",
    };
    println!("### What each {side} records of the request\n");
    let mut table = Table::new([
        "layer",
        "version",
        "span",
        "kind",
        "attributes",
        "events",
        "ends with",
        "current in `call`",
        "in polls",
        "in the body",
        "sends",
    ]);
    for (name, of) in in_order(said) {
        let get = |key: &str| of.get(key).cloned().unwrap_or_else(|| "–".to_owned());
        let version = version_of(&get("package")).to_owned();
        let cells = [
            "span",
            "kind",
            "attributes",
            "events",
            "ends",
            "in call",
            "in poll",
            "in body",
            "sends",
        ];
        table.push([name.to_owned(), version].into_iter().chain(cells.map(get)));
    }
    table.print();
    for (name, of) in in_order(said) {
        let names = match of.get("names").map(String::as_str) {
            None => "no span",
            Some("") => "no attributes",
            Some(names) => names,
        };
        println!("- {name}: {names}");
    }
    println!();
}

fn costs(path: &Path, times: &Said, allocations: &Said) {
    let clock = if path.is_exported {
        "ns of processor time"
    } else {
        "ns"
    };
    println!("### {}\n", path.title);
    let mut table = Table::new([
        "layer",
        clock,
        "of `h`",
        "allocations",
        "bytes allocated",
        "attributes",
    ]);
    let plain = number_of(times, PLAIN, NANOS).unwrap_or(f64::NAN);
    for (name, of) in in_order(times) {
        let nanos = number_of(times, name, NANOS).unwrap_or(f64::NAN);
        let count = |key| {
            number_of(allocations, name, key)
                .map_or("–".to_owned(), |count| format!("{count:.0}"))
        };
        table.push([
            name.to_owned(),
            format!("{nanos:.0}"),
            format!("{:.2}", nanos / plain),
            count("allocations"),
            count("bytes"),
            of.get("attributes")
                .map_or("no span", String::as_str)
                .to_owned(),
        ]);
    }
    table.print();
    let bare = number_of(times, "bare", NANOS).unwrap_or(f64::NAN);
    println!("The bare service: {bare:.0} ns, taken off above.");

    let nanos = number_of(times, OURS, NANOS).unwrap_or(f64::NAN);
    let counted = number_of(allocations, OURS, "allocations");
    let verdict = |is_met: bool| if is_met { "met" } else { "**missed**" };
    if let Some(budget) = path.budget.of_plain {
        let ratio = nanos / plain;
        println!(
            "Budget: {budget:.2} of `h`; ours {ratio:.2}: {}.",
            verdict(ratio <= budget)
        );
    }
    if let Some(budget) = path.budget.nanos {
        println!(
            "Budget: {budget:.0} ns; ours {nanos:.0}: {}.",
            verdict(nanos <= budget)
        );
    }
    if let Some(fastrace) = number_of(times, "fastrace-tower", NANOS).filter(|_| path.is_exported) {
        let is_met = nanos < fastrace;
        println!(
            "Budget: below fastrace-tower; ours {nanos:.0}, its {fastrace:.0}: {}.",
            verdict(is_met)
        );
    }
    if let Some((budget, counted)) = path.budget.allocations.zip(counted) {
        let is_met = counted <= budget as f64;
        println!(
            "Budget: {budget} allocations; ours {counted:.0}: {}.",
            verdict(is_met)
        );
    }
    println!();
}

/// Ours both, the plain layer, the floors, the others by name.
fn in_order(said: &Said) -> Vec<(&str, &BTreeMap<String, String>)> {
    let mut layers: Vec<_> = said
        .iter()
        .filter(|(name, _)| !name.starts_with("bare"))
        .collect();
    layers.sort_by_key(|(name, _)| {
        let known = [OURS, OURS_ON_SDK, PLAIN, ROOM, ENDING, CURRENT, SENT];
        known
            .iter()
            .position(|known| known == name)
            .unwrap_or(known.len())
    });
    layers
        .into_iter()
        .map(|(name, of)| (name.as_str(), of))
        .collect()
}
