//! The table of what each path may cost: a file that people read, and tests hold the code to.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::process::Command;

/// How the program was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// As `cargo test` does it without debug information, for instance `.ci/run`.
    Debug,
    /// As `cargo test` does it. Without optimisation a variable that a debugger can find takes instructions of its own.
    DebugInfo,
    /// As `cargo test --release` does it.
    Release,
}

/// What is counted of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Allocations of one request, reallocations included, whatever the profile.
    Allocations,
    /// Instructions of one request, in a profile.
    Instructions(Profile),
}

/// What instructions depend on besides the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// The architecture and the system that was compiled for.
    pub target: String,
    /// The compiler and the C library, whose allocator counts as well.
    pub versions: String,
}

/// What each path costs over the bare service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// With what the instructions of each profile were counted.
    tools: BTreeMap<Profile, Tools>,
    rows: BTreeMap<String, [Option<u64>; 4]>,
}

/// Whether a count is what the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Holds,
    /// It is more.
    More,
    /// It is less: the table is to be renewed, so that what was won is not lost again unnoticed.
    Less,
    /// It cannot be compared: another architecture.
    Incomparable,
}

// === impl Profile ===

impl Profile {
    /// That of this program.
    #[must_use]
    pub const fn current() -> Self {
        match (cfg!(debug_assertions), cfg!(towline_cost_debug_info)) {
            (true, false) => Self::Debug,
            (true, true) => Self::DebugInfo,
            (false, _) => Self::Release,
        }
    }

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::DebugInfo => "debuginfo",
            Self::Release => "release",
        }
    }
}

// === impl Column ===

impl Column {
    const fn index(self) -> usize {
        match self {
            Self::Allocations => 0,
            Self::Instructions(Profile::Debug) => 1,
            Self::Instructions(Profile::DebugInfo) => 2,
            Self::Instructions(Profile::Release) => 3,
        }
    }
}

// === impl Tools ===

impl Tools {
    /// Those of this program.
    #[must_use]
    pub fn current() -> Self {
        let libc = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
        let libc = libc.ok().filter(|output| output.status.success());
        let libc = libc.and_then(|output| String::from_utf8(output.stdout).ok());
        let libc = libc.as_deref().map_or("unknown libc", str::trim);
        Self {
            target: env!("TOWLINE_COST_TARGET").to_owned(),
            versions: format!("{}, {libc}", env!("TOWLINE_COST_COMPILER")),
        }
    }

    /// Whether a count by these tools is what was `expected` of `those`.
    ///
    /// By the same tools at most 2 % more or less. Other versions may take 25 % more, and as much less as they like. On
    /// another architecture there is nothing to compare.
    #[must_use]
    pub fn judge(&self, those: &Self, expected: u64, counted: u64) -> Verdict {
        let is_more_by = |percent: u64, more: u64, than: u64| {
            more.saturating_mul(100) > than.saturating_mul(100 + percent)
        };
        if self.target != those.target {
            return Verdict::Incomparable;
        }
        if self.versions != those.versions {
            return match is_more_by(OTHER_TOOLS_PERCENT, counted, expected) {
                true => Verdict::More,
                false => Verdict::Holds,
            };
        }
        if is_more_by(SAME_TOOLS_PERCENT, counted, expected) {
            Verdict::More
        } else if counted.saturating_mul(100) < expected.saturating_mul(100 - SAME_TOOLS_PERCENT) {
            Verdict::Less
        } else {
            Verdict::Holds
        }
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.target, self.versions)
    }
}

// === impl Table ===

impl Table {
    /// Reads what [`Display`](fmt::Display) has written.
    ///
    /// # Errors
    ///
    /// What is wrong with which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut table = Self::default();
        for (number, line) in text.lines().enumerate() {
            let wrong = |why: &str| format!("line {}: {why}: {line:?}", number + 1);
            if line.starts_with('#') || line.trim().is_empty() || line == HEADER {
                continue;
            }
            let made_with = PROFILES.into_iter().find_map(|profile| {
                let rest = line.strip_prefix(profile.name())?;
                Some((profile, rest.strip_prefix(" by ")?))
            });
            if let Some((profile, tools)) = made_with {
                let (target, versions) = tools
                    .split_once(", ")
                    .ok_or_else(|| wrong("expected a target, and versions"))?;
                let tools = Tools {
                    target: target.to_owned(),
                    versions: versions.to_owned(),
                };
                table.tools.insert(profile, tools);
                continue;
            }
            let cells: Vec<_> = line.split_whitespace().collect();
            let [id, counts @ ..] = cells.as_slice() else {
                return Err(wrong("expected a path"));
            };
            let counts: Option<Vec<_>> = counts
                .iter()
                .map(|count| match *count {
                    "-" => Some(None),
                    count => count.parse().ok().map(Some),
                })
                .collect();
            let counts = counts.and_then(|counts| counts.try_into().ok());
            let counts = counts.ok_or_else(|| wrong("expected a path and four counts"))?;
            if table.rows.insert((*id).to_owned(), counts).is_some() {
                return Err(wrong("this path is there already"));
            }
        }
        Ok(table)
    }

    /// The paths that it has.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// What it says of a path.
    #[must_use]
    pub fn get(&self, id: &str, column: Column) -> Option<u64> {
        *self.rows.get(id)?.get(column.index())?
    }

    /// With what the instructions of a profile were counted.
    #[must_use]
    pub fn tools(&self, profile: Profile) -> Option<&Tools> {
        self.tools.get(&profile)
    }

    /// Writes one column anew, for these paths and no others.
    pub fn renew(&mut self, column: Column, tools: &Tools, counts: &[(&str, u64)]) {
        if let Column::Instructions(profile) = column {
            self.tools.insert(profile, tools.clone());
        }
        self.rows
            .retain(|id, _| counts.iter().any(|(known, _)| known == id));
        for (id, count) in counts {
            let row = self.rows.entry((*id).to_owned()).or_default();
            if let Some(cell) = row.get_mut(column.index()) {
                *cell = Some(*count);
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFACE)?;
        for (profile, tools) in &self.tools {
            writeln!(f, "{} by {tools}", profile.name())?;
        }
        writeln!(f, "\n{HEADER}")?;
        for (id, counts) in &self.rows {
            let mut line = format!("{id:40}");
            for count in counts {
                let count = count.map_or_else(|| "-".to_owned(), |count| count.to_string());
                write!(line, " {count:>11}")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

const SAME_TOOLS_PERCENT: u64 = 2;
const OTHER_TOOLS_PERCENT: u64 = 25;

const PREFACE: &str = "\
# What one request costs over the bare service: allocations, and instructions as callgrind counts them.
# Written by `UPDATE=1 cargo test -p towline-cost`, the same with CARGO_PROFILE_DEV_DEBUG=0, and the same with `--release`.

";

const HEADER: &str =
    "path                                     allocations       debug   debuginfo     release";

const PROFILES: [Profile; 3] = [Profile::Debug, Profile::DebugInfo, Profile::Release];

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(target: &str, versions: &str) -> Tools {
        Tools {
            target: target.into(),
            versions: versions.into(),
        }
    }

    #[test]
    fn the_same_tools_may_differ_by_two_percent() {
        let same = tools("a", "1");
        for (counted, verdict) in [
            (979, Verdict::Less),
            (980, Verdict::Holds),
            (1000, Verdict::Holds),
            (1020, Verdict::Holds),
            (1021, Verdict::More),
        ] {
            assert_eq!(same.judge(&same, 1000, counted), verdict, "{counted}");
        }
        // So little that a part of it is nothing.
        assert_eq!(same.judge(&same, 0, 0), Verdict::Holds);
        assert_eq!(same.judge(&same, 0, 1), Verdict::More);
    }

    #[test]
    fn other_versions_may_take_a_quarter_more_and_any_less() {
        let (these, those) = (tools("a", "2"), tools("a", "1"));
        for (counted, verdict) in [
            (0, Verdict::Holds),
            (1250, Verdict::Holds),
            (1251, Verdict::More),
        ] {
            assert_eq!(these.judge(&those, 1000, counted), verdict, "{counted}");
        }
    }

    #[test]
    fn another_architecture_is_another_matter() {
        let verdict = tools("b", "1").judge(&tools("a", "1"), 1, 1_000_000);
        assert_eq!(verdict, Verdict::Incomparable);
    }

    #[test]
    fn a_table_reads_what_it_writes() {
        let mut table = Table::default();
        let debug = Column::Instructions(Profile::Debug);
        table.renew(
            Column::Allocations,
            &tools("t", "r 1, g 2"),
            &[("b", 7), ("a", 0)],
        );
        table.renew(debug, &tools("t", "r 1, g 2"), &[("b", 123_456), ("c", 1)]);
        let read = Table::parse(&table.to_string()).unwrap();
        assert_eq!(read, table);
        assert_eq!(read.ids().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(read.get("b", Column::Allocations), Some(7));
        assert_eq!(read.get("c", Column::Allocations), None);
        assert_eq!(read.get("b", debug), Some(123_456));
        assert_eq!(read.tools(Profile::Debug), Some(&tools("t", "r 1, g 2")));
        assert_eq!(read.tools(Profile::Release), None);
    }

    #[test]
    fn what_is_no_table_is_told_with_its_line() {
        for (text, expected) in [
            ("# fine\na 1 2 3", "line 2: expected a path and four counts"),
            ("a 1 2 x 4", "line 1: expected a path and four counts"),
            ("a 1 2 - 4\na 1 2 3 4", "line 2: this path is there already"),
            ("debug by nobody", "line 1: expected a target, and versions"),
        ] {
            let error = Table::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
