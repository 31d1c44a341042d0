//! What is said about configurations that cannot be used: each `broken/NN-name.yaml` beside the text that it gets.
//!
//! `UPDATE=1 cargo test -p towline --test broken` writes the texts anew. What a test makes is put in for `$DIR`: `ca.pem`,
//! `client.key`, `client.pem`, `other.key`, `expired.pem`, `empty.pem`, `torn.pem`, `encrypted.key` and `directory`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

use towline::{Environment, Towline};
use towline_test_support::certificates::TestCa;

#[test]
fn every_broken_configuration_gets_a_text_that_helps() {
    let directory = tempfile::tempdir().unwrap();
    make_files(directory.path());
    let there = directory.path().display().to_string();
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut count = 0;
    let mut differing = Vec::new();
    for case in cases() {
        let name = case.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&case).unwrap().replace("$DIR", &there);
        let file = directory.path().join(name);
        fs::write(&file, text).unwrap();

        let builder = || {
            Towline::builder()
                .with_environment(Environment::empty())
                .with_config_file(&file)
        };
        let error = builder().build().unwrap_err();
        let mut told = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            told = format!("{told}: {cause}");
        }
        let told = told.replace(&format!("{there}/{name}"), name);
        let told = told.replace(&there, "$DIR") + "\n";

        // A check says the same, and so do the problems one by one.
        let report = builder().check();
        assert_eq!(
            report.to_string().matches("\nerror: ").count(),
            report.problems().len()
        );
        assert_eq!(report.problems().len(), error.problems().len(), "{name}");
        for problem in error.problems() {
            assert_eq!(problem.file(), Some(file.as_path()), "{name}: {problem}");
            assert!(told.contains(problem.key().unwrap()), "{name}: {problem}");
        }
        assert!(!told.contains("hunter2"), "{name}: {told}");

        let expected = case.with_extension("txt");
        if is_update {
            fs::write(&expected, &told).unwrap();
        }
        let expected = fs::read_to_string(expected).unwrap_or_default();
        if expected != told {
            differing.push(format!(
                "--- {name}, expected:\n{expected}--- and told:\n{told}"
            ));
        }
        count += 1;
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(count >= 20, "{count}");
}

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let files = fs::read_dir(directory).unwrap();
    let mut cases: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    cases.sort();
    cases
}

fn make_files(directory: &Path) {
    let ca = TestCa::new();
    let (client, other) = (ca.client("users"), ca.client("other"));
    let expired = ca.expired_client("users");
    let file = |name: &str, from: PathBuf| {
        fs::copy(from, directory.join(name)).unwrap();
    };
    file("ca.pem", ca.cert_path());
    file("client.key", client.key_path());
    file("client.pem", client.cert_path());
    file("other.key", other.key_path());
    file("expired.pem", expired.cert_path());
    file("expired.key", expired.key_path());
    let ca = fs::read_to_string(ca.cert_path()).unwrap();
    for (name, text) in [
        ("empty.pem", ""),
        ("torn.pem", &ca[..ca.len() / 2]),
        (
            "encrypted.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
    fs::create_dir(directory.join("directory")).unwrap();
}
