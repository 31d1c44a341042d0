//! What the files of a directory need of the file system.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

use fs4::{FileExt, TryLockError};

/// Where files to append to come from. Tests have a disk that fails.
pub(super) trait Disk: fmt::Debug {
    type File: Append;

    /// A new file, for its owner only; an error if there is one.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// A file that is there.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
}

/// A file that grows at its end.
pub(super) trait Append: fmt::Debug + io::Write {
    fn get_ref(&self) -> &File;

    /// Shortens it.
    fn cut(&self, len: u64) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalDisk;

// === impl LocalDisk ===

impl Disk for LocalDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        options().create_new(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        options().open(path)
    }
}

impl Append for File {
    fn get_ref(&self) -> &File {
        self
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// Makes a directory, and those above it, for their owner only; one that is there stays as it is.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How files are opened: to append to, and, where they are made, for their owner only.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Takes the lock of a file, unless another process has it. Where nothing can be locked, nothing
/// is: better that than no files.
pub(super) fn lock(file: &File) -> bool {
    !matches!(FileExt::try_lock(file), Err(TryLockError::WouldBlock))
}

/// Whether an open file is the one that stands at `path`.
#[cfg(unix)]
pub(super) fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, found) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
}

/// Whether an open file is the one that stands at `path`.
#[cfg(not(unix))]
pub(super) fn same_file(_file: &File, path: &Path) -> io::Result<bool> {
    // An open file cannot be removed there.
    path.try_exists()
}
