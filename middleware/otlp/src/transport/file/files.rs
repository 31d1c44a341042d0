use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::disk::{self, Append, Disk, LocalDisk};
use super::mend::mend;
use super::name::FileName;
use super::record::{self, Records};
use crate::FileFormat;
use crate::endpoint::FileOptions;

/// The files of a directory, of which one is written to.
#[derive(Debug)]
pub(super) struct Files<D: Disk = LocalDisk> {
    directory: PathBuf,
    options: FileOptions,
    disk: D,
    current: Option<Current<D::File>>,
    /// The latest name that was given.
    last: Option<FileName>,
}

/// A file that is written to, with our lock on it.
#[derive(Debug)]
struct Current<F> {
    file: F,
    path: PathBuf,
    /// Of whole records.
    len: u64,
    /// Of the records before the batch that is being written.
    len_before: u64,
}

/// What must be taken back if a batch cannot be written whole.
#[derive(Debug)]
struct Undo<F> {
    /// The file in which the batch begins, if it goes on in others.
    first: Option<Current<F>>,
    /// Those between the first and the current one.
    made: Vec<PathBuf>,
}

// === impl Files ===

impl Files {
    /// Makes the directory if need be, mends what a crash has left, removes what is too old or too
    /// much, and goes on with the latest file if it may.
    pub(super) fn open(directory: PathBuf, options: FileOptions) -> io::Result<Self> {
        Self::open_on(LocalDisk, directory, options)
    }
}

impl<D: Disk> Files<D> {
    fn open_on(disk: D, directory: PathBuf, options: FileOptions) -> io::Result<Self> {
        let mut files = Self {
            directory,
            options,
            disk,
            current: None,
            last: None,
        };
        disk::make_directory(&files.directory)?;
        let latest = files.mend_all()?;
        files.current = match files.options.format {
            // Teleport begins with a new file, before there is anything to write.
            FileFormat::Teleport => Some(files.create()?),
            FileFormat::Json | FileFormat::Proto => {
                latest.filter(|latest| latest.len < files.options.limit_bytes)
            }
        };
        if files.current.is_none() {
            files.probe()?;
        }
        files.clean();
        Ok(files)
    }

    /// Appends a batch to the current file and as many next ones as it takes: whole, or not at all.
    pub(super) fn write(&mut self, records: &Records) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            current.len_before = current.len;
        }
        let mut undo = Undo {
            first: None,
            made: Vec::new(),
        };
        let written = records
            .iter()
            .try_for_each(|record| self.append(record, &mut undo));
        if written.is_err() {
            self.take_back(undo);
        } else if undo.first.take().is_some() {
            // It was held until now.
            self.clean();
        }
        written
    }

    fn append(&mut self, record: &[u8], undo: &mut Undo<D::File>) -> io::Result<()> {
        // Removed, or written to by somebody who does not heed the lock.
        if self
            .current
            .as_ref()
            .is_some_and(|current| !current.is_as_we_left_it())
        {
            self.current = None;
        }
        let FileOptions {
            format,
            limit_bytes,
            ..
        } = self.options;
        if let Some(current) = &mut self.current
            && record::has_room(format, record, current.len, limit_bytes)
        {
            match current.append(record) {
                // The system's own limit of a file: full is full.
                Err(error)
                    if error.kind() == io::ErrorKind::FileTooLarge
                        && current.len > 0
                        && current.file.cut(current.len).is_ok() => {}
                result => return result,
            }
        }
        self.begin_next(undo)?.append(record)
    }

    /// Makes the next file the current one.
    fn begin_next(&mut self, undo: &mut Undo<D::File>) -> io::Result<&mut Current<D::File>> {
        // If that fails, the current one stays.
        let next = self.create()?;
        if let Some(current) = self.current.replace(next) {
            undo.leave(current);
        }
        // Before it is written to: on a full disk, this makes room.
        self.clean();
        self.current
            .as_mut()
            .ok_or_else(|| io::Error::other("no current file"))
    }

    /// Removes what a batch that failed has left. A file for which that fails as well is never
    /// written to again: its end is not known.
    fn take_back(&mut self, undo: Undo<D::File>) {
        let current = self.current.take().map(|current| {
            let path = current.path.clone();
            (path, current.cut_back())
        });
        let Some(first) = undo.first else {
            self.current = current.and_then(|(_, current)| current);
            return;
        };
        // What cannot be cut may still be removed.
        for path in current.map(|(path, _)| path).into_iter().chain(undo.made) {
            let _ = fs::remove_file(path);
        }
        self.current = first.cut_back();
    }

    /// Finds out whether files can be made, without leaving one.
    fn probe(&self) -> io::Result<()> {
        let name = FileName::new(self.options.format, None);
        let path = self.directory.join(format!(".{name}"));
        self.disk.create(&path)?;
        fs::remove_file(path)
    }

    /// A new file with a lock on it.
    fn create(&mut self) -> io::Result<Current<D::File>> {
        // Somebody may have removed it.
        disk::make_directory(&self.directory)?;
        for _ in 0..MAX_ATTEMPTS {
            let name = FileName::new(self.options.format, self.last);
            let path = self.directory.join(name.to_string());
            self.last = Some(name);
            match self.disk.create(&path) {
                Ok(file) => {
                    // Another process that just starts may be faster: it takes our empty file for
                    // one left behind.
                    if let Some(current) = Current::lock(file, path, 0) {
                        return Ok(current);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(
            "every new file is taken at once by another process",
        ))
    }

    /// The files of ours, the latest first.
    fn list(&self) -> io::Result<Vec<(FileName, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // Not through a link: who knows where it leads.
            if let Some(name) = FileName::parse(&entry.file_name())
                && entry.file_type().is_ok_and(|file_type| file_type.is_file())
            {
                found.push((name, entry.path()));
            }
        }
        found.sort_unstable_by_key(|(name, _)| std::cmp::Reverse(name.order()));
        Ok(found)
    }

    /// Cuts off what a crash has left unfinished, in the latest files that no process holds; gives
    /// the latest of them that has our format.
    fn mend_all(&self) -> io::Result<Option<Current<D::File>>> {
        let mut latest = None;
        for (name, path) in self.list()?.into_iter().take(MAX_MENDED) {
            // What cannot be opened, locked or mended is left as it is: a new file does as well.
            let Some(mut current) = self.hold(path) else {
                continue;
            };
            let Ok(len) = mend(name.format(), current.file.get_ref()) else {
                continue;
            };
            current.len = len;
            if latest.is_none() && name.format() == self.options.format {
                latest = Some(current);
            }
        }
        Ok(latest)
    }

    /// Removes the oldest files that are one too many, and all that are too old. A failure is
    /// nobody's: the next time will do.
    fn clean(&self) {
        let FileOptions {
            max_files, max_age, ..
        } = self.options;
        if max_files.is_none() && max_age.is_none() {
            return;
        }
        let Ok(found) = self.list() else { return };
        let mut surplus = max_files.map_or(0, |max| found.len().saturating_sub(max));
        let now = SystemTime::now();
        for (_, path) in found.into_iter().rev() {
            let is_old = || max_age.is_some_and(|max_age| age(&path, now) > Some(max_age));
            // Where nothing can be locked, the current one would be free as well.
            let is_current = || self.current.as_ref().is_some_and(|it| it.path == path);
            if (surplus > 0 || is_old()) && !is_current() && self.remove(&path) {
                surplus = surplus.saturating_sub(1);
            }
        }
    }

    /// Removes a file that no process holds.
    fn remove(&self, path: &Path) -> bool {
        // Held until it is gone, so that nobody begins to write to it.
        let held = self.hold(path.to_owned());
        held.is_some() && fs::remove_file(path).is_ok()
    }

    /// Opens a file that no process holds.
    fn hold(&self, path: PathBuf) -> Option<Current<D::File>> {
        let file = self.disk.open(&path).ok()?;
        Current::lock(file, path, 0)
    }
}

// === impl Current ===

impl<F: Append> Current<F> {
    /// `None` if another process holds the file, or has removed it before it was ours.
    fn lock(file: F, path: PathBuf, len: u64) -> Option<Self> {
        let is_ours =
            disk::lock(file.get_ref()) && disk::same_file(file.get_ref(), &path).unwrap_or(false);
        is_ours.then_some(Self {
            file,
            path,
            len,
            len_before: 0,
        })
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all(record)?;
        self.len += record.len() as u64;
        Ok(())
    }

    /// Takes back what was written of the current batch; `None` if that cannot be done.
    fn cut_back(mut self) -> Option<Self> {
        self.len = self.len_before;
        self.file.cut(self.len).is_ok().then_some(self)
    }

    /// Whether the file can still be found where it was made, and ends where we have ended.
    fn is_as_we_left_it(&self) -> bool {
        let file = self.file.get_ref();
        disk::same_file(file, &self.path).unwrap_or(false)
            && file
                .metadata()
                .is_ok_and(|metadata| metadata.len() == self.len)
    }
}

// === impl Undo ===

impl<F> Undo<F> {
    /// A file is full, and the batch goes on, or begins, in the next one.
    fn leave(&mut self, current: Current<F>) {
        if self.first.is_some() {
            self.made.push(current.path);
        } else if current.len > current.len_before {
            self.first = Some(current);
        }
    }
}

/// The time since a file was last written to.
fn age(path: &Path, now: SystemTime) -> Option<Duration> {
    let modified = fs::symlink_metadata(path).ok()?.modified().ok()?;
    now.duration_since(modified).ok()
}

/// New files in a row that another process takes; even one is rare.
const MAX_ATTEMPTS: usize = 100;

/// Files that are mended at a start, so that it takes a bounded time. A process that crashes leaves
/// one.
const MAX_MENDED: usize = 100;

#[cfg(test)]
mod tests;
