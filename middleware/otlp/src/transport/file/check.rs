//! Whether files could be written into a directory.

use std::fs;
use std::io;
use std::path::Path;

use super::disk::{Disk, LocalDisk};

/// Leaves everything as it is: a file is made and removed again, in the directory or, if that is not there yet, in the
/// one that it would be made in.
pub(super) fn check(directory: &Path) -> io::Result<()> {
    let there = directory
        .ancestors()
        .find(|ancestor| fs::symlink_metadata(ancestor).is_ok())
        .ok_or(io::ErrorKind::NotFound)?;
    if !fs::metadata(there)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let probe = there.join(format!(".towline-check-{:016x}", fastrand::u64(..)));
    drop(LocalDisk.create(&probe)?);
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        check(directory.path()).unwrap();
        check(&directory.path().join("a/b/c")).unwrap();
        assert_eq!(entries(directory.path()), 0);
    }

    #[test]
    fn a_file_is_no_directory_nor_is_what_would_be_below_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = check(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{path:?}");
        }
        assert_eq!(entries(directory.path()), 1);
    }
}
