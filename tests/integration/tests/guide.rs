//! The operating guide of the `towline` crate says what the code does: each failure is shown by a
//! test that is there, each line of the log is one that is written, each field one that is public.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

#[test]
fn each_failure_is_shown_by_a_test_that_is_there() {
    let sources = sources();
    let mut rows = 0;
    for row in failures() {
        let test = quoted(row.last().unwrap());
        let [test] = &test[..] else {
            panic!("a row without a test: {row:?}");
        };
        let signature = format!("fn {test}(");
        let found = sources.iter().any(|(_, text)| {
            let at = text.find(&signature);
            at.is_some_and(|at| {
                text[..at].contains("#[test]") || text[..at].contains("tokio::test")
            })
        });
        assert!(found, "no test is called {test}");
        rows += 1;
    }
    assert!(rows > 25, "{rows}");
}

#[test]
fn each_line_of_the_log_is_one_that_is_written() {
    let sources: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == "src"))
        .collect();
    let mut lines = 0;
    for row in failures() {
        let log = &row[2];
        if !log.contains("INFO `") && !log.contains("WARN `") {
            continue;
        }
        for line in quoted(log) {
            let literal = format!("\"{line}\"");
            let found = sources.iter().any(|(_, text)| text.contains(&literal));
            assert!(found, "nobody logs {line:?}");
            lines += 1;
        }
    }
    assert!(lines > 10, "{lines}");
}

#[test]
fn each_counter_is_one_that_there_is() {
    let sources = sources();
    let mut fields = 0;
    for row in failures() {
        for counter in quoted(&row[3]) {
            let name = counter.rsplit(['.', ':']).next().unwrap().to_owned();
            let field = format!("pub {name}: ");
            let found = sources
                .iter()
                .any(|(path, text)| path.ends_with("stats.rs") && text.contains(&field));
            assert!(found, "no counter is called {counter}");
            fields += 1;
        }
    }
    assert!(fields > 20, "{fields}");
}

#[test]
fn the_configuration_files_are_yaml() {
    for file in ["collector.yaml", "compose.yaml"] {
        let text = fs::read_to_string(guide().join(file)).unwrap();
        serde_saphyr::from_str::<IgnoredAny>(&text)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// The rows of all tables of failures, cell by cell.
fn failures() -> Vec<Vec<String>> {
    let text = fs::read_to_string(guide().join("operating.md")).unwrap();
    let mut in_table = false;
    let mut rows = vec![];
    for line in text.lines() {
        if line.starts_with("| what happens |") {
            in_table = true;
        } else if !line.starts_with('|') {
            in_table = false;
        } else if in_table && !line.starts_with("|---") {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    let parts = text.split('`').enumerate();
    parts
        .filter(|(index, _)| index % 2 == 1)
        .map(|(_, part)| part.to_owned())
        .collect()
}

/// Every Rust file of the crates and the tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("middleware"), root().join("tests")];
    let mut files = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    files
}

fn guide() -> PathBuf {
    root().join("middleware/towline/docs")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
