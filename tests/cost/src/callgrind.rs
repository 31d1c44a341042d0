//! Counting instructions: this crate's program under valgrind, once without anything of ours and once with it.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// How many requests are counted.
pub const INPUTS: usize = 64;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The service alone.
    Bare,
    /// The service with the layer around it.
    With,
}

/// Valgrind has not counted.
#[derive(Clone, Debug)]
pub struct CountError(String);

// === impl Side ===

impl Side {
    /// The one with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Bare, Self::With]
            .into_iter()
            .find(|side| side.name() == name)
    }

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::With => "with",
        }
    }
}

/// Whether there is a valgrind.
#[must_use]
pub fn is_installed() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// The instructions that one request takes over the bare service, for each of these paths.
///
/// `program` is `towline-cost-path`; callgrind's files are written to `directory` and removed. Two run at a time: each
/// counts what it does itself, so that they do not disturb each other.
///
/// # Errors
///
/// When valgrind or the program fails.
pub fn count_all(program: &Path, directory: &Path, paths: &[&str]) -> Result<Vec<u64>, CountError> {
    let mut next = Vec::new();
    for (index, id) in paths.iter().enumerate() {
        next.extend([(index, *id, Side::Bare), (index, *id, Side::With)]);
    }
    let next = Mutex::new(next.into_iter());
    let take = || next.lock().ok()?.next();
    let mut counts = vec![(0, 0); paths.len()];
    let found = thread::scope(|scope| {
        let workers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut found = Vec::new();
                while let Some((index, id, side)) = take() {
                    found.push((index, side, count(program, directory, id, side)?));
                }
                Ok(found)
            })
        });
        let found = workers.map(|worker| worker.join().expect("it does not panic"));
        found.into_iter().collect::<Result<Vec<_>, CountError>>()
    })?;
    for (index, side, count) in found.into_iter().flatten() {
        match (counts.get_mut(index), side) {
            (Some((bare, _)), Side::Bare) => *bare = count,
            (Some((_, with)), Side::With) => *with = count,
            (None, _) => {}
        }
    }
    Ok(counts
        .into_iter()
        .map(|(bare, with)| with.saturating_sub(bare).saturating_add(HALF) / (2 * HALF))
        .collect())
}

/// The instructions of [`INPUTS`] requests.
fn count(program: &Path, directory: &Path, id: &str, side: Side) -> Result<u64, CountError> {
    let side = side.name();
    let failed = |why: &dyn fmt::Display| CountError(format!("{id}, {side}: {why}"));
    let file = directory.join(format!("callgrind.{id}.{side}.{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*counted_by_callgrind*")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .args([id, side])
        .output()
        .map_err(|error| failed(&error))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let written = std::fs::read_to_string(&file);
    let _ = std::fs::remove_file(&file);
    if !output.status.success() {
        return Err(failed(&said));
    }
    let written = written.map_err(|error| failed(&error))?;
    let summary = written
        .lines()
        .find_map(|line| line.strip_prefix("summary: "));
    match summary.and_then(|total| total.trim().parse().ok()) {
        Some(total) if total > 0 => Ok(total),
        _ => Err(failed(&format_args!("nothing was counted: {said}"))),
    }
}

// === impl CountError ===

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CountError {}

const HALF: u64 = INPUTS as u64 / 2;
