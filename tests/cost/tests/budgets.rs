//! What each path costs is what the table says: see the documentation of the crate.
//!
//! `UPDATE=1 cargo test -p towline-cost`, the same with `CARGO_PROFILE_DEV_DEBUG=0` and the same with `--release` write the table
//! anew.

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use towline_cost::callgrind::{self, INPUTS};
use towline_cost::path::PATHS;
use towline_cost::table::{Column, Profile, Table, Tools, Verdict};
use towline_cost::work::{Work, one_by_one};
use towline_test_support::allocations;

/// Both tests write into one file.
static TABLE: Mutex<()> = Mutex::new(());

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.txt");

/// Holds what was counted against the table, or writes it there.
#[track_caller]
fn assert_in_table(column: Column, counts: &[(&str, u64)]) {
    let _held = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let table = std::fs::read_to_string(FILE)
        .map_or_else(|_| Ok(Table::default()), |text| Table::parse(&text));
    let mut table = table.unwrap_or_else(|error| panic!("budgets.txt: {error}"));
    let tools = Tools::current();
    if std::env::var_os("UPDATE").is_some() {
        table.renew(column, &tools, counts);
        std::fs::write(FILE, table.to_string()).expect("budgets.txt can be written");
        return;
    }
    let differences = differences(&table, column, &tools, counts);
    assert!(
        differences.is_empty(),
        "budgets.txt says otherwise ({} build, {tools}):\n{}",
        Profile::current().name(),
        differences.join("\n")
    );
}

/// Where the table says something else, in words.
fn differences(
    table: &Table,
    column: Column,
    tools: &Tools,
    counts: &[(&str, u64)],
) -> Vec<String> {
    let (unit, those) = match column {
        Column::Allocations => ("allocations", None),
        Column::Instructions(profile) => ("instructions", table.tools(profile)),
    };
    let gone = table
        .ids()
        .filter(|id| counts.iter().all(|(known, _)| known != id))
        .map(|id| format!("{id}: there is no such path any more, {RENEW}"));
    let differing = counts.iter().filter_map(|(id, counted)| {
        let Some(expected) = table.get(id, column) else {
            return Some(format!(
                "{id}: {counted} {unit}, the table has none yet, {RENEW}"
            ));
        };
        let verdict = match those {
            None if *counted == expected => Verdict::Holds,
            None if *counted < expected => Verdict::Less,
            None => Verdict::More,
            Some(those) => tools.judge(those, expected, *counted),
        };
        let of = *counted as f64 / expected.max(1) as f64;
        let by = format!("{counted} {unit}, {of:.2} of the {expected} that the table says");
        match verdict {
            Verdict::Holds | Verdict::Incomparable => None,
            Verdict::More => Some(format!("{id}: {by}")),
            Verdict::Less => Some(format!("{id}: {by}: it became cheaper, {RENEW}")),
        }
    });
    let mut differences: Vec<_> = gone.chain(differing).collect();
    if let Some(those) = those.filter(|those| *those != tools)
        && !differences.is_empty()
    {
        differences.push(format!(
            "the table was made by {those}, so 25 % more would have done"
        ));
    }
    differences
}

const RENEW: &str = "renew the table: UPDATE=1 cargo test -p towline-cost, with CARGO_PROFILE_DEV_DEBUG=0, and with --release";

/// Past the capture of the test harness: it is to be seen although the test passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn each_path_records_what_it_says() {
    for path in PATHS {
        let mut subject = path.subject();
        subject.warm_up();
        one_by_one(&mut *subject.with, INPUTS, |work| work.run());
        let recorded = subject.recorded_since_warm_up();
        let expected = path
            .attributes
            .map_or((0, 0), |attributes| (INPUTS, attributes));
        assert_eq!(
            (recorded.spans, recorded.attributes),
            expected,
            "{}",
            path.id
        );
    }
}

#[test]
fn each_path_allocates_what_the_table_says() {
    let counts: Vec<_> = PATHS
        .iter()
        .map(|path| {
            let mut subject = path.subject();
            subject.warm_up();
            let [bare, with] = [&mut subject.bare, &mut subject.with].map(|work| {
                let mut count = 0;
                let run = |work: &mut dyn Work| count += allocations::count(|| work.run()).1.count;
                one_by_one(&mut **work, INPUTS, run);
                count
            });
            let added = with - bare;
            assert_eq!(
                added % INPUTS as u64,
                0,
                "{}: {added} in {INPUTS} requests",
                path.id
            );
            (path.id, added / INPUTS as u64)
        })
        .collect();
    assert_in_table(Column::Allocations, &counts);
}

#[test]
fn each_path_takes_as_many_instructions_as_the_table_says() {
    if !callgrind::is_installed() {
        say("there is no valgrind: no instructions were counted");
        return;
    }
    let ids: Vec<_> = PATHS.iter().map(|path| path.id).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_towline-cost-path"));
    let counts = callgrind::count_all(program, Path::new(env!("CARGO_TARGET_TMPDIR")), &ids);
    let counts = counts.unwrap_or_else(|error| panic!("{error}"));
    let counts: Vec<_> = ids.into_iter().zip(counts).collect();
    assert_in_table(Column::Instructions(Profile::current()), &counts);
}
