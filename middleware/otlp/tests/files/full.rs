//! Disks and files that are full, for real.
#![cfg(unix)]

use std::fs;
use std::process::Command;

use crate::child::{limited, url};
use crate::read::{self, FORMATS};
use crate::support::spans::number;

/// A limit that anybody can set. The signal is ignored, which `exec` keeps, so that a write fails.
const SMALL_FILES: &str = "trap '' XFSZ && ulimit -f 64 && exec \"$@\"";

#[test]
fn files_that_the_system_lets_grow_no_further_are_full() {
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let url = url(directory.path(), format, u64::MAX);
        let child = limited(Command::new("env"), SMALL_FILES, "grow", &url)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let spans = read::spans(directory.path());
        let numbers: Vec<_> = spans
            .iter()
            .flat_map(|it| &it.scope_spans[0].spans)
            .map(|span| number(&span.span_id))
            .collect();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
        let sizes: Vec<_> = read::paths(directory.path())
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .collect();
        // Of 512 or of 1024 bytes each, as the shell counts.
        assert!(sizes.iter().all(|size| *size <= 64 * 1024), "{sizes:?}");
        assert!(sizes.len() > 1, "{sizes:?}");
    }
}

/// A disk of 128 KiB, where the system lets anybody have one.
const SMALL_DISK: &str =
    "mount -t tmpfs -o size=128k tmpfs \"$DISK\" && { [ $# = 0 ] || exec \"$@\"; }";

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_survived() {
    let disk = tempfile::tempdir().unwrap();
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command.env("DISK", disk.path());
        command
    };
    let probe = unshare().args(["sh", "-c", SMALL_DISK]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        // The same is shown with a made-up disk, at every byte, beside the code.
        eprintln!("no disk of one's own here");
        return;
    }
    for format in FORMATS {
        let url = url(&disk.path().join("traces"), format, 20_000);
        let child = limited(unshare(), SMALL_DISK, "fill", &url)
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && stdout.contains("full twice"),
            "{child:?}"
        );
    }
}
