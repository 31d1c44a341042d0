//! A process that is killed while it writes loses nothing that was flushed, and leaves files that
//! every reader can read.
#![cfg(unix)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use towline_otlp::{File, FileFormat};

use crate::child::{exporting, url};
use crate::read;
use crate::support::spans::number;

const LIVES: u64 = 100;

const SIGKILL: i32 = 9;

/// More spans than a process exports before it is killed.
const SPANS_OF_A_LIFE: u64 = 1_000_000;

#[test]
fn json_survives_a_kill_at_any_moment() {
    nothing_flushed_is_lost(FileFormat::Json);
}

#[test]
fn teleports_format_survives_a_kill_at_any_moment() {
    nothing_flushed_is_lost(FileFormat::Teleport);
}

#[test]
fn proto_survives_a_kill_at_any_moment() {
    nothing_flushed_is_lost(FileFormat::Proto);
}

fn nothing_flushed_is_lost(format: FileFormat) {
    let directory = tempfile::tempdir().unwrap();
    let url = url(directory.path(), format, 300_000);
    let mut flushed = Vec::new();
    for life in 0..LIVES {
        let mut child = exporting(&url, life * SPANS_OF_A_LIFE)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "it never got ready");
        let wanted = flushed.len() + fastrand::usize(..12);
        while flushed.len() < wanted {
            let line = lines.next().expect("it goes on until it is killed");
            flushed.extend(parse(&line));
        }
        // Not to wait for anything: to hit it anywhere.
        std::thread::sleep(Duration::from_micros(fastrand::u64(..3000)));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));
        flushed.extend(lines.filter_map(|line| parse(&line)));
        drop(
            File::builder(directory.path())
                .format(format)
                .build()
                .unwrap(),
        );
    }

    let mut found = HashSet::new();
    for resource in read::spans(directory.path()) {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                let number = number(&span.span_id);
                assert!(found.insert(number), "{number} is there twice");
            }
        }
    }
    let lost: Vec<_> = flushed
        .iter()
        .flat_map(|(start, end)| *start..*end)
        .filter(|number| !found.contains(number))
        .collect();
    assert!(lost.is_empty(), "{lost:?} were flushed");
}

/// `flushed 0 5.`: whole, or not at all.
fn parse(line: &str) -> Option<(u64, u64)> {
    let numbers = line.strip_prefix("flushed ")?.strip_suffix('.')?;
    let (start, end) = numbers.split_once(' ')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}
