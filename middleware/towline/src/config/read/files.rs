use std::path::PathBuf;

use super::Entry;
use crate::StartErrorKind;
use crate::config::KeyPair;
use crate::config::node::Value;
use crate::config::origin::Origin;
use crate::config::problem::{Problem, Problems};
use crate::config::said::Said;

/// A list of PEM files.
pub(crate) fn files(entry: Entry, problems: &mut Problems) -> Option<Said<Vec<PathBuf>>> {
    let Value::List(items) = entry.node.value else {
        entry.is_wrong(problems, "a list of files, such as [/etc/app/ca.pem]");
        return None;
    };
    let (mut files, mut parts, mut is_whole) = (Vec::new(), Vec::new(), true);
    for (index, node) in items.into_iter().enumerate() {
        let path = format!("[{index}]");
        let origin = entry.origin.part(&path, node.position);
        match file(Entry { origin, node }, problems) {
            Some((file, origin)) => {
                files.push(file);
                parts.push((path, origin));
            }
            None => is_whole = false,
        }
    }
    is_whole.then(|| Said::new(files, entry.origin).with_parts(parts))
}

/// A list of key pairs.
pub(crate) fn key_pairs(entry: Entry, problems: &mut Problems) -> Option<Said<Vec<KeyPair>>> {
    let Value::List(items) = entry.node.value else {
        entry.is_wrong(problems, EXPECTED_KEY_PAIRS);
        return None;
    };
    let (mut pairs, mut parts, mut is_whole) = (Vec::new(), Vec::new(), true);
    for (index, node) in items.into_iter().enumerate() {
        let path = format!("[{index}]");
        let origin = entry.origin.part(&path, node.position);
        parts.push((path.clone(), origin.clone()));
        match key_pair(Entry { origin, node }, &path, &mut parts, problems) {
            Some(pair) => pairs.push(pair),
            None => is_whole = false,
        }
    }
    is_whole.then(|| Said::new(pairs, entry.origin).with_parts(parts))
}

fn key_pair(
    entry: Entry,
    path: &str,
    parts: &mut Vec<(String, Origin)>,
    problems: &mut Problems,
) -> Option<KeyPair> {
    let Value::Map(keys) = entry.node.value else {
        entry.is_wrong(problems, EXPECTED_KEY_PAIR);
        return None;
    };
    let mut wrong = |origin: &Origin, rest: String| {
        problems.push(Problem::of(StartErrorKind::Config, origin, rest));
    };
    let [mut key_file, mut cert_file] = [const { Slot::Empty }; 2];
    for (key, node) in keys {
        let (name, slot) = match key.as_text() {
            Some("key_file") => ("key_file", &mut key_file),
            Some("cert_file") => ("cert_file", &mut cert_file),
            _ => {
                let (origin, key) = (entry.origin.part("", key.position), key.value);
                let rest = format!(" has the unknown key {key}: expected {EXPECTED_KEY_PAIR}");
                wrong(&origin, rest);
                continue;
            }
        };
        let part = format!(".{name}");
        if !matches!(slot, Slot::Empty) {
            let origin = entry.origin.part(&part, key.position);
            wrong(&origin, " is given twice: expected it once".to_owned());
            continue;
        }
        let origin = entry.origin.part(&part, node.position);
        *slot = match node.as_text() {
            Some(file) if !file.is_empty() => {
                parts.push((format!("{path}{part}"), origin));
                Slot::File(file.into())
            }
            _ => {
                wrong(&origin, format!(" is {}{EXPECTED_FILE}", node.value));
                Slot::Wrong
            }
        };
    }
    for (name, slot) in [("key_file", &key_file), ("cert_file", &cert_file)] {
        if matches!(slot, Slot::Empty) {
            let rest = format!(" has no `{name}`: expected {EXPECTED_KEY_PAIR}");
            wrong(&entry.origin, rest);
        }
    }
    match (key_file, cert_file) {
        (Slot::File(key_file), Slot::File(cert_file)) => Some(KeyPair::new(key_file, cert_file)),
        _ => None,
    }
}

/// What a key pair has under one of its keys.
enum Slot {
    Empty,
    Wrong,
    File(PathBuf),
}

fn file(entry: Entry, problems: &mut Problems) -> Option<(PathBuf, Origin)> {
    match entry.node.as_text() {
        Some(file) if !file.is_empty() => Some((file.into(), entry.origin)),
        _ => {
            let rest = format!(" is {}{EXPECTED_FILE}", entry.node.value);
            problems.push(Problem::of(StartErrorKind::Config, &entry.origin, rest));
            None
        }
    }
}

const EXPECTED_FILE: &str = ": expected the path of a PEM file";

const EXPECTED_KEY_PAIR: &str = "a mapping of `key_file` and `cert_file`";

const EXPECTED_KEY_PAIRS: &str = "a list of mappings of `key_file` and `cert_file`";
