use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;

const JSON: FileFormat = FileFormat::Json;
const TELEPORT: FileFormat = FileFormat::Teleport;
const PROTO: FileFormat = FileFormat::Proto;
const FORMATS: [FileFormat; 3] = [JSON, TELEPORT, PROTO];

/// Large enough for whatever is written here.
const LARGE: u64 = 1_000_000;

fn options(format: FileFormat, limit_bytes: u64) -> FileOptions {
    FileOptions {
        format,
        limit_bytes,
        ..FileOptions::default()
    }
}

fn open(directory: &Path, limit_bytes: u64) -> Files {
    Files::open(directory.to_owned(), options(JSON, limit_bytes)).unwrap()
}

fn write(files: &mut Files<impl Disk>, line: &str) {
    let records = Records::verbatim(&[line.as_bytes()]);
    files.write(&records).unwrap();
}

/// What is in each file, by name.
fn found(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn contents(directory: &Path) -> Vec<String> {
    let found = found(directory).into_values();
    found
        .map(|content| String::from_utf8(content).unwrap())
        .collect()
}

/// A name of ours, the older the lower the number.
fn name(number: u32, extension: &str) -> String {
    format!("{number:019}-00000000000000ff.{extension}")
}

/// A file of ours whose process is gone.
fn leave(directory: &Path, number: u32, extension: &str, content: &[u8]) -> PathBuf {
    let path = directory.join(name(number, extension));
    fs::write(&path, content).unwrap();
    path
}

// === where a batch goes ===

#[test]
fn nothing_is_made_before_the_first_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    drop(open(&path, 10));
    assert!(contents(&path).is_empty());
}

#[test]
fn a_file_is_full_when_the_next_line_would_exceed_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = open(directory.path(), 10);
    for line in [
        "1234\n",
        "678\n",
        "\n",
        "2\n",
        "a line that is too long\n",
        "3\n",
    ] {
        write(&mut files, line);
    }
    assert_eq!(
        contents(directory.path()),
        ["1234\n678\n\n", "2\n", "a line that is too long\n", "3\n"]
    );
}

#[test]
fn a_limit_of_zero_is_a_file_for_each_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = open(directory.path(), 0);
    write(&mut files, "1\n");
    write(&mut files, "2\n");
    assert_eq!(contents(directory.path()), ["1\n", "2\n"]);
}

#[test]
fn a_batch_of_several_records_goes_on_in_the_next_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = open(directory.path(), 4);
    let records = Records::verbatim(&[b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"]);
    files.write(&records).unwrap();
    assert_eq!(contents(directory.path()), ["1\n2\n", "3\n4\n", "5\n"]);
}

#[test]
fn a_full_file_is_not_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    write(&mut open(directory.path(), 4), "one\n");
    assert!(open(directory.path(), 4).current.is_none());
    assert!(open(directory.path(), 5).current.is_some());
}

#[test]
fn the_latest_file_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        leave(directory.path(), number, "jsonl", b"old\n");
    }
    write(&mut open(directory.path(), LARGE), "new\n");
    assert_eq!(contents(directory.path()), ["old\n", "old\n", "old\nnew\n"]);
}

#[test]
fn only_a_file_of_the_same_format_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 1, "jsonl", b"one\n");
    leave(directory.path(), 2, "pb", b"\0\0\0\0");
    leave(directory.path(), 3, "trace", b"three\n");
    let current = |format| {
        let files = Files::open(directory.path().to_owned(), options(format, LARGE)).unwrap();
        let path = files.current.unwrap().path;
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(current(JSON), name(1, "jsonl"));
    assert_eq!(current(PROTO), name(2, "pb"));
    // Teleport's always begins one.
    assert!(found(directory.path()).len() == 3 && current(TELEPORT) != name(3, "trace"));
    assert_eq!(found(directory.path()).len(), 4);
}

#[test]
fn two_writers_keep_apart() {
    let directory = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (open(directory.path(), 100), open(directory.path(), 100));
    write(&mut one, "one\n");
    write(&mut two, "two\n");
    write(&mut one, "one\n");
    let mut found = contents(directory.path());
    found.sort();
    assert_eq!(found, ["one\none\n", "two\n"]);
    // A third finds both held, until one is gone.
    assert!(open(directory.path(), 100).current.is_none());
    drop(one);
    assert!(open(directory.path(), 100).current.is_some());
}

#[test]
fn what_cannot_be_a_directory_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    for format in FORMATS {
        let open = |path| Files::open(path, options(format, 100));
        assert!(open(path.clone()).is_err());
        assert!(open(path.join("below")).is_err());
    }
}

#[test]
#[cfg(unix)]
fn what_is_made_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let mut files = Files::open(path.clone(), options(format, 100)).unwrap();
        write(&mut files, "one\n");
        assert_eq!(mode(&directory.path().join("a")), 0o700);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&files.current.unwrap().path), 0o600);
    }
}

// === what others do to the directory ===

#[test]
fn a_directory_that_vanishes_is_made_anew() {
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("traces");
        let mut files = Files::open(path.clone(), options(format, 100)).unwrap();
        write(&mut files, "one\n");
        fs::remove_dir_all(&path).unwrap();
        write(&mut files, "two\n");
        assert_eq!(contents(&path), ["two\n"]);
    }
}

#[test]
fn a_file_that_somebody_else_has_changed_is_not_gone_on_with() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "one\nfrom elsewhe").unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, "one\n").unwrap();
        },
    ];
    for change in changes {
        let directory = tempfile::tempdir().unwrap();
        let mut files = open(directory.path(), 100);
        write(&mut files, "one\n");
        let path = files.current.as_ref().unwrap().path.clone();
        change(&path);
        let left = fs::read(&path).ok();
        write(&mut files, "two\n");
        assert_ne!(files.current.as_ref().unwrap().path, path);
        assert_eq!(fs::read(&path).ok(), left);
        assert_eq!(contents(directory.path()).last().unwrap(), "two\n");
    }
}

// === what a crash leaves ===

#[test]
fn what_a_crash_cut_short_is_removed_in_files_of_every_format() {
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        leave(directory.path(), 1, "jsonl", b"whole\ntorn");
        leave(directory.path(), 2, "trace", b"torn");
        leave(directory.path(), 3, "pb", b"\0\0\0\0\0\0\0\x04\x0a\x02\x12");
        fs::write(directory.path().join("not ours.jsonl"), "torn").unwrap();
        let theirs = "1700000000000000000-1234567890.trace";
        fs::write(directory.path().join(theirs), "torn").unwrap();
        let files = Files::open(directory.path().to_owned(), options(format, 1)).unwrap();
        drop(files);
        let found = found(directory.path());
        assert_eq!(found[&name(1, "jsonl")], b"whole\n");
        assert_eq!(found[&name(2, "trace")], b"");
        assert_eq!(found[&name(3, "pb")], b"\0\0\0\0");
        assert_eq!(found["not ours.jsonl"], b"torn");
        assert_eq!(found[theirs], b"torn");
    }
}

#[test]
fn a_file_that_is_held_is_not_mended() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = open(directory.path(), 100);
    write(&mut files, "one\n");
    let path = &files.current.as_ref().unwrap().path;
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(b"being writ").unwrap();
    assert!(open(directory.path(), 100).current.is_none());
    assert_eq!(contents(directory.path()), ["one\nbeing writ"]);
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = b"{\"resourceSpans\":[]}\n{";
    let path = leave(directory.path(), 1, "pb", text);
    let mut files = Files::open(directory.path().to_owned(), options(PROTO, LARGE)).unwrap();
    write(&mut files, "\0\0\0\0");
    assert_eq!(fs::read(path).unwrap(), text);
    assert_eq!(found(directory.path()).len(), 2);
}

#[test]
fn the_latest_files_are_mended_and_a_start_takes_a_bounded_time() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..=MAX_MENDED as u32 {
        leave(directory.path(), number, "jsonl", b"whole\ntorn");
    }
    drop(open(directory.path(), 1));
    let torn: Vec<_> = found(directory.path())
        .into_iter()
        .filter(|(_, content)| content == b"whole\ntorn")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(torn, [name(0, "jsonl")]);
}

// === what is kept ===

fn keep(directory: &Path, max_files: Option<usize>, max_age: Option<Duration>) -> Files {
    let options = FileOptions {
        max_files,
        max_age,
        ..options(JSON, 0)
    };
    Files::open(directory.to_owned(), options).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    found(directory).into_keys().collect()
}

#[test]
fn the_oldest_files_are_removed_when_the_directory_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    leave(directory.path(), 2, "jsonl", b"");
    leave(directory.path(), 1, "trace", b"");
    leave(directory.path(), 4, "jsonl", b"");
    leave(directory.path(), 3, "pb", b"");
    drop(keep(directory.path(), Some(2), None));
    assert_eq!(names(directory.path()), [name(3, "pb"), name(4, "jsonl")]);
}

#[test]
fn the_oldest_files_are_removed_when_one_is_begun() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = keep(directory.path(), Some(3), None);
    for number in 0..10 {
        write(&mut files, &format!("{number}\n"));
    }
    assert_eq!(contents(directory.path()), ["7\n", "8\n", "9\n"]);
}

#[test]
fn what_a_batch_leaves_behind_is_removed_once_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let options = FileOptions {
        max_files: Some(1),
        ..options(JSON, 4)
    };
    let mut files = Files::open(path, options).unwrap();
    // The first file is held until it is sure that nothing must be taken back.
    let records = Records::verbatim(&[b"1\n", b"2\n", b"3\n"]);
    files.write(&records).unwrap();
    assert_eq!(contents(directory.path()), ["3\n"]);
}

#[test]
fn the_current_file_stays_whatever_the_options_say() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = keep(directory.path(), Some(0), Some(Duration::ZERO));
    for number in 0..3 {
        write(&mut files, &format!("{number}\n"));
        assert_eq!(contents(directory.path()), [format!("{number}\n")]);
    }
}

#[test]
fn a_file_that_was_not_written_to_for_too_long_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    for (number, age) in [
        (1, Some(8 * day)),
        (2, Some(6 * day)),
        (3, Some(8 * day)),
        (4, None),
    ] {
        let path = leave(directory.path(), number, "jsonl", b"one\n");
        let file = File::options().write(true).open(path).unwrap();
        // The last one comes from the future.
        file.set_modified(age.map_or(now + day, |age| now - age))
            .unwrap();
    }
    let mut files = keep(directory.path(), None, Some(7 * day));
    assert_eq!(
        names(directory.path()),
        [name(2, "jsonl"), name(4, "jsonl")]
    );
    // And when a file is begun.
    let file = File::options()
        .write(true)
        .open(directory.path().join(name(2, "jsonl")))
        .unwrap();
    file.set_modified(now - 8 * day).unwrap();
    drop(file);
    write(&mut files, "new\n");
    assert!(!names(directory.path()).contains(&name(2, "jsonl")));
    assert!(names(directory.path()).contains(&name(4, "jsonl")));
}

#[test]
fn old_files_make_room_on_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = keep(directory.path(), Some(2), None);
    write(&mut files, "1\n");
    write(&mut files, "2\n");
    // A batch that fails after it has begun a file.
    let path = directory.path().to_owned();
    let disk = FaultyDisk::default();
    drop(files);
    let options = FileOptions {
        max_files: Some(2),
        ..options(JSON, 0)
    };
    let mut files = Files::open_on(disk.clone(), path, options).unwrap();
    disk.set(|faults| faults.room = Some(0));
    let records = Records::verbatim(&[b"3\n"]);
    for _ in 0..3 {
        files.write(&records).unwrap_err();
        assert_eq!(contents(directory.path()), ["2\n", ""]);
    }
}

#[test]
fn without_options_nothing_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = leave(directory.path(), 1, "jsonl", b"");
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    drop(file);
    let mut files = open(directory.path(), 0);
    for _ in 0..5 {
        write(&mut files, "1\n");
    }
    // The first of ours is gone on with only if it is not full, and with a limit of 0 it is.
    assert_eq!(names(directory.path()).len(), 6);
}

#[test]
fn what_is_held_or_not_ours_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut other = open(directory.path(), LARGE);
    write(&mut other, "other\n");
    let theirs = ["1700000000000000000-1234567890.trace", "notes.txt"];
    for name in theirs {
        fs::write(directory.path().join(name), name).unwrap();
    }
    let mut files = keep(directory.path(), Some(1), Some(Duration::ZERO));
    write(&mut files, "one\n");
    write(&mut files, "two\n");
    let mut left = contents(directory.path());
    left.sort();
    let mut expected = vec!["other\n", "two\n", theirs[0], theirs[1]];
    expected.sort_unstable();
    assert_eq!(left, expected);
    // And it still is where the other one writes to.
    write(&mut other, "other\n");
    assert!(contents(directory.path()).contains(&"other\nother\n".to_owned()));
}

#[test]
#[cfg(unix)]
fn nothing_is_removed_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(elsewhere.path(), "torn").unwrap();
    let link = directory.path().join(name(1, "jsonl"));
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    let mut files = keep(directory.path(), Some(1), Some(Duration::ZERO));
    write(&mut files, "one\n");
    assert_eq!(fs::read(elsewhere.path()).unwrap(), b"torn");
    assert!(fs::symlink_metadata(link).is_ok());
}

#[test]
#[cfg(unix)]
fn a_file_that_cannot_be_removed_fails_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // A directory by the name of a file.
    fs::create_dir(directory.path().join(name(1, "jsonl"))).unwrap();
    leave(directory.path(), 2, "jsonl", b"");
    let mut files = keep(directory.path(), Some(1), None);
    write(&mut files, "one\n");
    write(&mut files, "two\n");
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 2);
}

// === a disk that fails ===

/// The disk of this machine, with less room and worse manners.
#[derive(Clone, Debug, Default)]
struct FaultyDisk {
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Bytes until it is full.
    room: Option<usize>,
    /// Bytes that a single write takes at most.
    short: Option<usize>,
    /// Bytes of a file.
    file_limit: Option<u64>,
    cut: bool,
    create: bool,
}

#[derive(Debug)]
struct FaultyFile {
    file: File,
    faults: Arc<Mutex<Faults>>,
}

impl FaultyDisk {
    fn set(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.faults.lock().unwrap();
        *faults = Faults::default();
        change(&mut faults);
    }

    fn wrap(&self, file: File) -> FaultyFile {
        let faults = Arc::clone(&self.faults);
        FaultyFile { file, faults }
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        if self.faults.lock().unwrap().create {
            return Err(io::ErrorKind::StorageFull.into());
        }
        LocalDisk.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<FaultyFile> {
        LocalDisk.open(path).map(|file| self.wrap(file))
    }
}

impl Append for FaultyFile {
    fn get_ref(&self) -> &File {
        &self.file
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        if self.faults.lock().unwrap().cut {
            return Err(io::Error::other("cannot be cut"));
        }
        self.file.set_len(len)
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut faults = self.faults.lock().unwrap();
        let mut len = bytes.len().min(faults.short.unwrap_or(usize::MAX));
        if let Some(limit) = faults.file_limit {
            let left = limit.saturating_sub(self.file.metadata().unwrap().len());
            len = len.min(left as usize);
            if len == 0 {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        if let Some(room) = &mut faults.room {
            len = len.min(*room);
            *room -= len;
            if len == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.file.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A batch of three records in a format; whole ones, however short.
fn batch(format: FileFormat, digit: u8) -> Records {
    let line = [digit, digit + 1, digit + 2, b'\n'];
    let message = [0, 0, 0, 4, 0x0a, 2, digit, 0];
    match format {
        PROTO => Records::verbatim(&[&message[..]; 3]),
        _ => Records::verbatim(&[&line[..]; 3]),
    }
}

fn bytes(records: &Records) -> Vec<u8> {
    records.iter().flatten().copied().collect()
}

/// All that is in the directory, one after the other.
fn all(directory: &Path) -> Vec<u8> {
    found(directory).into_values().flatten().collect()
}

#[test]
fn a_disk_that_is_full_at_any_byte_leaves_no_trace_of_the_batch() {
    for format in FORMATS {
        // From all records in one file to a file for each.
        for limit in [LARGE, 40, 24, 0] {
            for is_first in [true, false] {
                for room in 0..bytes(&batch(format, b'5')).len() {
                    let directory = tempfile::tempdir().unwrap();
                    let disk = FaultyDisk::default();
                    let mut files = Files::open_on(
                        disk.clone(),
                        directory.path().to_owned(),
                        options(format, limit),
                    )
                    .unwrap();
                    let mut expected = Vec::new();
                    if !is_first {
                        files.write(&batch(format, b'1')).unwrap();
                        expected = bytes(&batch(format, b'1'));
                    }
                    let before = found(directory.path());

                    disk.set(|faults| (faults.room, faults.short) = (Some(room), Some(3)));
                    for _ in 0..2 {
                        let error = files.write(&batch(format, b'5')).unwrap_err();
                        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                        let mut after = found(directory.path());
                        // A file that was begun is kept for the next attempt.
                        assert!(after.len() <= before.len() + 1);
                        after.retain(|name, content| {
                            before.contains_key(name) || !content.is_empty()
                        });
                        assert_eq!(after, before, "{format:?} {limit} {room}");
                        // The bytes that were taken back are free again, but for a write or two.
                        disk.set(|faults| faults.room = Some(room));
                    }

                    disk.set(|_| {});
                    files.write(&batch(format, b'5')).unwrap();
                    files.write(&batch(format, b'7')).unwrap();
                    expected.extend(bytes(&batch(format, b'5')));
                    expected.extend(bytes(&batch(format, b'7')));
                    assert_eq!(all(directory.path()), expected, "{format:?} {limit} {room}");
                }
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_cut_back_is_never_written_to_again() {
    for format in FORMATS {
        let len = bytes(&batch(format, b'5')).len();
        for room in 1..len {
            let directory = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::default();
            let path = directory.path().to_owned();
            let open = || Files::open_on(disk.clone(), path.clone(), options(format, LARGE));
            let mut files = open().unwrap();
            files.write(&batch(format, b'1')).unwrap();
            let torn = files.current.as_ref().unwrap().path.clone();

            disk.set(|faults| (faults.room, faults.cut) = (Some(room), true));
            files.write(&batch(format, b'5')).unwrap_err();
            disk.set(|_| {});
            let left = fs::read(&torn).unwrap();
            assert_eq!(left.len(), len + room);
            files.write(&batch(format, b'5')).unwrap();
            assert_eq!(fs::read(&torn).unwrap(), left);
            drop(files);

            // The next start cuts off what is not whole; whole records of the batch stay.
            drop(open().unwrap());
            let record = len / 3;
            let mut expected = bytes(&batch(format, b'1'));
            expected.extend(&bytes(&batch(format, b'5'))[..room / record * record]);
            assert_eq!(fs::read(&torn).unwrap(), expected);
            expected.extend(bytes(&batch(format, b'5')));
            assert_eq!(all(directory.path()), expected);
        }
    }
}

#[test]
fn a_new_file_that_cannot_be_made_leaves_the_current_one() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let path = directory.path().to_owned();
    let mut files = Files::open_on(disk.clone(), path, options(JSON, 8)).unwrap();
    write(&mut files, "1\n");
    disk.set(|faults| faults.create = true);
    // Two lines fit, the third needs a file.
    let records = Records::verbatim(&[b"2\n", b"3\n", b"long line\n"]);
    for _ in 0..2 {
        let error = files.write(&records).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(contents(directory.path()), ["1\n"]);
    }
    // What fits is still written.
    write(&mut files, "4\n");
    disk.set(|_| {});
    files.write(&records).unwrap();
    assert_eq!(contents(directory.path()), ["1\n4\n2\n3\n", "long line\n"]);
}

#[test]
fn a_file_that_the_system_lets_grow_no_further_is_full() {
    for format in FORMATS {
        let record = bytes(&batch(format, b'1')).len() as u64 / 3;
        for file_limit in record..4 * record {
            let directory = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::default();
            let path = directory.path().to_owned();
            let mut files = Files::open_on(disk.clone(), path, options(format, LARGE)).unwrap();
            disk.set(|faults| faults.file_limit = Some(file_limit));
            let mut expected = Vec::new();
            for digit in b'1'..b'5' {
                files.write(&batch(format, digit)).unwrap();
                expected.extend(bytes(&batch(format, digit)));
            }
            assert_eq!(all(directory.path()), expected);
            for content in found(directory.path()).values() {
                assert!(content.len() as u64 <= file_limit && !content.is_empty());
                assert_eq!(content.len() as u64 % record, 0);
            }
        }
    }
}

#[test]
fn a_record_that_fits_into_no_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let path = directory.path().to_owned();
    let mut files = Files::open_on(disk.clone(), path, options(JSON, LARGE)).unwrap();
    write(&mut files, "1\n");
    disk.set(|faults| faults.file_limit = Some(4));
    let error = files
        .write(&Records::verbatim(&[b"long line\n"]))
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    write(&mut files, "2\n");
    assert_eq!(contents(directory.path()), ["1\n", "2\n"]);
}
