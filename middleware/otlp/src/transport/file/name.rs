use std::ffi::OsStr;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::FileFormat;

/// The name of a file: `<nanoseconds since 1970>-<random>.<extension>`, which sorts by time.
///
/// The random part has 16 digits. Teleport's own names have at most 10 there, so that its files,
/// which nobody locks, are never taken for ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    nanos: u64,
    random: u64,
    format: FileFormat,
}

// === impl FileName ===

impl FileName {
    /// A name of now that no other process takes. It sorts behind `last`, wherever the clock went.
    pub(super) fn new(format: FileFormat, last: Option<Self>) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let next = last.map_or(0, |last| last.nanos.saturating_add(1));
        Self {
            nanos: now.max(next),
            random: fastrand::u64(..),
            format,
        }
    }

    /// `None` for what [`new`](Self::new) never gives: the file is somebody else's.
    pub(super) fn parse(name: &OsStr) -> Option<Self> {
        let text = name.to_str()?;
        let (stem, extension) = text.rsplit_once('.')?;
        let (nanos, random) = stem.split_once('-')?;
        let name = Self {
            nanos: nanos.parse().ok()?,
            random: u64::from_str_radix(random, 16).ok()?,
            format: FORMATS
                .into_iter()
                .find(|format| extension_of(*format) == extension)?,
        };
        // Signs, capitals and other numbers of digits are not ours.
        (name.to_string() == text).then_some(name)
    }

    pub(super) const fn format(self) -> FileFormat {
        self.format
    }

    /// By age.
    pub(super) const fn order(self) -> (u64, u64) {
        (self.nanos, self.random)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:019}-{:016x}.{}",
            self.nanos,
            self.random,
            extension_of(self.format)
        )
    }
}

const fn extension_of(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Json => "jsonl",
        FileFormat::Teleport => "trace",
        FileFormat::Proto => "pb",
    }
}

const FORMATS: [FileFormat; 3] = [FileFormat::Json, FileFormat::Teleport, FileFormat::Proto];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_again() {
        for format in FORMATS {
            let name = FileName::new(format, None);
            assert_eq!(FileName::parse(name.to_string().as_ref()), Some(name));
            assert_eq!(name.format(), format);
        }
    }

    #[test]
    fn what_others_call_their_files_is_not_ours() {
        for other in [
            "1-0.jsonl",
            "0000000000000000001-000000000000000g.jsonl",
            "0000000000000000001-000000000000000A.jsonl",
            "0000000000000000001-0000000000000000",
            "0000000000000000001-0000000000000000.json",
            "+000000000000000001-0000000000000000.jsonl",
            "99999999999999999999-0000000000000000.jsonl",
            "00000000000000000001-0000000000000000.jsonl",
            ".0000000000000000001-0000000000000000.jsonl",
            // As Go's `os.CreateTemp` makes them.
            "1700000000000000000-1234567890.trace",
            "traces.jsonl",
            "",
        ] {
            assert_eq!(FileName::parse(other.as_ref()), None, "{other}");
        }
    }

    #[test]
    fn names_go_up_even_if_the_clock_does_not() {
        let future = FileName {
            nanos: u64::MAX - 2,
            random: u64::MAX,
            format: FileFormat::Json,
        };
        let next = FileName::new(FileFormat::Json, Some(future));
        assert!(next.order() > future.order());
        assert!(next.to_string() > future.to_string());
        // At the end of time there is nothing behind, and nothing breaks.
        let last = FileName::new(FileFormat::Json, Some(next));
        assert_eq!(FileName::new(FileFormat::Json, Some(last)).nanos, u64::MAX);
    }
}
