use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::files::Files;
use super::{File, Shared, unusable};
use crate::endpoint::FileOptions;
use crate::{FileFormat, TransportError};

/// The configuration of a [`File`].
///
/// | option | default | from |
/// |---|---|---|
/// | [`format`](Self::format) | [`FileFormat::Json`] | what the Collector's file receivers read |
/// | [`limit_bytes`](Self::limit_bytes) | 104,857,600 | Teleport; the Collector has 100 MB |
/// | [`max_files`](Self::max_files) | no limit | Teleport |
/// | [`max_age`](Self::max_age) | no limit | Teleport and the Collector |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use towline_otlp::{File, FileFormat};
///
/// let directory = tempfile::tempdir()?;
/// let file = File::builder(directory.path())
///     .format(FileFormat::Proto)
///     .limit_bytes(10_000_000)
///     .max_files(5)
///     .max_age(Duration::from_secs(7 * 86_400))
///     .build()?;
/// assert_eq!(file.directory(), directory.path());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FileBuilder {
    directory: PathBuf,
    options: FileOptions,
}

// === impl FileBuilder ===

impl FileBuilder {
    pub(super) const fn new(directory: PathBuf, options: FileOptions) -> Self {
        Self { directory, options }
    }

    /// How spans are written. Default: [`FileFormat::Json`].
    pub const fn format(mut self, format: FileFormat) -> Self {
        self.options.format = format;
        self
    }

    /// The size of a file, in bytes, that no further record may exceed: then the next file is
    /// begun. Default: 104,857,600.
    ///
    /// A record that is larger alone is written whole, into a file of its own; with 0 that is every
    /// record. [`FileFormat::Teleport`] has Teleport's own rule, which begins the next file at the
    /// limit already.
    pub const fn limit_bytes(mut self, bytes: u64) -> Self {
        self.options.limit_bytes = bytes;
        self
    }

    /// How many files there may be, the current one and those of other processes included. Default:
    /// any number.
    ///
    /// When the directory is opened and whenever a file is begun, the oldest ones beyond that
    /// number are removed, except those that a process holds: it may take some time, or more
    /// processes, until there are so few. The current one always stays, so 0 is as good as 1.
    pub const fn max_files(mut self, files: usize) -> Self {
        self.options.max_files = Some(files);
        self
    }

    /// How long a file is kept after it was last written to. Default: for ever.
    ///
    /// Older ones are removed when the directory is opened and whenever a file is begun, except
    /// those that a process holds.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.options.max_age = Some(age);
        self
    }

    /// Opens the directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when the directory cannot be made, listed or written to.
    pub fn build(self) -> Result<File, TransportError> {
        let Self { directory, options } = self;
        let files =
            Files::open(directory.clone(), options).map_err(|error| unusable(&directory, error))?;
        Ok(File {
            shared: Arc::new(Shared::new(directory, options.format, files)),
        })
    }
}
