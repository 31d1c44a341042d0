use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk;

/// The files of a directory, of which one is written to.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    limit_bytes: u64,
    current: Option<Current>,
}

/// The file that is written to, with our lock on it.
#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    /// Of whole lines.
    len: u64,
}

// === impl Files ===

impl Files {
    /// Makes the directory if need be, mends what a crash has left, and goes on with the latest
    /// file if it may.
    pub(super) fn open(directory: PathBuf, limit_bytes: u64) -> io::Result<Self> {
        let mut files = Self {
            directory,
            limit_bytes,
            current: None,
        };
        disk::make_directory(&files.directory)?;
        files.current = files.adopt()?;
        if files.current.is_none() {
            files.probe()?;
        }
        Ok(files)
    }

    /// Appends a line, which ends in a newline, to the current file or the next one: whole, or not
    /// at all.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let added = line.len() as u64;
        let fits = |current: &Current| {
            current.len == 0
                || current
                    .len
                    .checked_add(added)
                    .is_some_and(|len| len <= self.limit_bytes)
        };
        let mut current = match self
            .current
            .take()
            .filter(|current| current.is_there() && fits(current))
        {
            Some(current) => current,
            None => self.create()?,
        };
        let written = current.append(line);
        if written.is_ok() || current.cut_back() {
            self.current = Some(current);
        }
        written
    }

    /// Finds out whether files can be made, without leaving one.
    fn probe(&self) -> io::Result<()> {
        let path = self.directory.join(format!(".{}", name()));
        disk::options().create_new(true).open(&path)?;
        fs::remove_file(path)
    }

    /// A new file with a lock on it.
    fn create(&self) -> io::Result<Current> {
        // Somebody may have removed it.
        disk::make_directory(&self.directory)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let path = self.directory.join(name());
            match disk::options().create_new(true).open(&path) {
                // Another process that just starts may hold the lock: it takes our empty file for
                // one left behind.
                Ok(file) if disk::lock(&file) => return Ok(Current { file, path, len: 0 }),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            if attempts == MAX_ATTEMPTS {
                return Err(io::Error::other(
                    "every new file is taken at once by another process",
                ));
            }
        }
    }

    /// Cuts lines that a crash has left unfinished, in files that no process holds; gives the
    /// latest of them, if it has not reached the limit.
    fn adopt(&self) -> io::Result<Option<Current>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // Not through a link: who knows where it leads.
            if is_ours(&entry.file_name()) && entry.file_type()?.is_file() {
                paths.push(entry.path());
            }
        }
        paths.sort_unstable();
        let mut latest = None;
        for path in paths {
            // What cannot be opened, locked or mended is left as it is: a new file does as well.
            let Ok(mut file) = disk::options().open(&path) else {
                continue;
            };
            if !disk::lock(&file) {
                continue;
            }
            if let Ok(len) = disk::cut_torn_line(&mut file) {
                latest = Some(Current { file, path, len });
            }
        }
        Ok(latest.filter(|latest| latest.len < self.limit_bytes))
    }
}

// === impl Current ===

impl Current {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.len += line.len() as u64;
        Ok(())
    }

    /// Takes back what a failed write has left. If that fails as well, the file must not be written
    /// to again.
    fn cut_back(&mut self) -> bool {
        self.file.set_len(self.len).is_ok()
    }

    /// Whether the file can still be found where it was made.
    fn is_there(&self) -> bool {
        disk::same_file(&self.file, &self.path).unwrap_or(false)
    }
}

/// A name that sorts by time, and that no other process takes.
fn name() -> String {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!("{nanos:019}-{:08x}{EXTENSION}", fastrand::u32(..))
}

/// Whether it is a name that [`name`] gives.
fn is_ours(name: &OsStr) -> bool {
    let Some((nanos, random)) = name
        .to_str()
        .and_then(|name| name.strip_suffix(EXTENSION))
        .and_then(|name| name.split_once('-'))
    else {
        return false;
    };
    nanos.len() >= 19
        && nanos.bytes().all(|byte| byte.is_ascii_digit())
        && random.len() == 8
        && random.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const EXTENSION: &str = ".jsonl";

/// New files in a row that another process takes; even one is rare.
const MAX_ATTEMPTS: usize = 100;

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;

    use super::*;

    fn contents(directory: &Path) -> Vec<String> {
        let mut paths: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    #[test]
    fn names_are_known_again() {
        assert!(is_ours(name().as_ref()));
        for other in [
            "1-0.jsonl",
            "0000000000000000001-0000000g.jsonl",
            "traces.jsonl",
            "0000000000000000001-00000000.trace",
        ] {
            assert!(!is_ours(other.as_ref()), "{other}");
        }
    }

    #[test]
    fn nothing_is_made_before_the_first_line() {
        let directory = tempfile::tempdir().unwrap();
        drop(Files::open(directory.path().join("a/b"), 10).unwrap());
        assert!(contents(&directory.path().join("a/b")).is_empty());
    }

    #[test]
    fn a_file_is_full_when_the_next_line_would_exceed_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path().to_owned(), 10).unwrap();
        for line in [
            "1234\n",
            "678\n",
            "\n",
            "2\n",
            "a line that is too long\n",
            "3\n",
        ] {
            files.write(line.as_bytes()).unwrap();
        }
        assert_eq!(
            contents(directory.path()),
            ["1234\n678\n\n", "2\n", "a line that is too long\n", "3\n"]
        );
    }

    #[test]
    fn a_limit_of_zero_is_a_file_for_each_line() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path().to_owned(), 0).unwrap();
        files.write(b"1\n").unwrap();
        files.write(b"2\n").unwrap();
        assert_eq!(contents(directory.path()), ["1\n", "2\n"]);
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &[u8]| fs::write(directory.path().join(name), content).unwrap();
        write("0000000000000000001-00000000.jsonl", b"whole\ntorn");
        write(
            "0000000000000000002-00000000.jsonl",
            &[b'x'; 3 * disk::CHUNK_BYTES],
        );
        write(
            "0000000000000000003-00000000.jsonl",
            &[&b"whole\n"[..], &[b'x'; 2 * disk::CHUNK_BYTES]].concat(),
        );
        write("not ours.jsonl", b"torn");
        let mut files = Files::open(directory.path().to_owned(), 100).unwrap();
        files.write(b"next\n").unwrap();
        assert_eq!(
            contents(directory.path()),
            ["whole\n", "", "whole\nnext\n", "torn"]
        );
    }

    #[test]
    fn two_writers_keep_apart() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Files::open(directory.path().to_owned(), 100).unwrap();
        let (mut one, mut two) = (open(), open());
        one.write(b"one\n").unwrap();
        two.write(b"two\n").unwrap();
        one.write(b"one\n").unwrap();
        let mut found = contents(directory.path());
        found.sort();
        assert_eq!(found, ["one\none\n", "two\n"]);
        // A third finds both held, until one is gone.
        assert!(open().current.is_none());
        drop(one);
        assert!(open().current.is_some());
    }

    #[test]
    fn a_full_file_is_not_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Files::open(directory.path().to_owned(), 4).unwrap();
        open().write(b"one\n").unwrap();
        assert!(open().current.is_none());
    }

    #[test]
    fn a_directory_that_vanishes_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("traces");
        let mut files = Files::open(path.clone(), 100).unwrap();
        files.write(b"one\n").unwrap();
        fs::remove_dir_all(&path).unwrap();
        files.write(b"two\n").unwrap();
        assert_eq!(contents(&path), ["two\n"]);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_made_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let mut files = Files::open(path.clone(), 100).unwrap();
        files.write(b"one\n").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory.path().join("a")), 0o700);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&files.current.unwrap().path), 0o600);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_write_that_fails_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path().to_owned(), 100).unwrap();
        files.write(b"one\n").unwrap();
        // A file that can be opened and never written to.
        let current = files.current.as_mut().unwrap();
        let good = std::mem::replace(
            &mut current.file,
            OpenOptions::new().write(true).open("/dev/full").unwrap(),
        );
        assert!(current.append(b"two\n").is_err());
        current.file = good;
        current.file.write_all(b"tw").unwrap();
        assert!(current.cut_back());
        files.write(b"three\n").unwrap();
        assert_eq!(contents(directory.path()), ["one\nthree\n"]);
    }

    #[test]
    fn what_cannot_be_a_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(Files::open(path.clone(), 100).is_err());
        assert!(Files::open(path.join("below"), 100).is_err());
    }
}
