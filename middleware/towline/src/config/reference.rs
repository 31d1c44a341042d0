//! The page of [every setting](crate::guide::configuration), out of the table.
//!
//! `UPDATE=1 cargo test -p towline` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use super::settings::{KEYS, Key};

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for key in KEYS {
        let link = anchor(key);
        let variables = match key.variables.first() {
            None => String::new(),
            Some(first) if key.variables.len() == 1 => format!("`{first}`"),
            Some(first) => format!("`{first}`, …"),
        };
        writeln!(
            page,
            "| [`{}`](#{link}) | {} | {} | {variables} |",
            key.field.name(),
            key.kind,
            key.default,
        )
        .unwrap();
    }
    for key in KEYS {
        section(&mut page, key);
    }
    page
}

fn section(page: &mut String, key: &Key) {
    let name = key.field.name();
    write!(page, "\n## {name}\n\n{}\n\n", key.meaning).unwrap();
    write!(page, "```yaml\n{name}: {}\n```\n\n", key.example).unwrap();
    if let [_, others @ ..] = key.field.names
        && !others.is_empty()
    {
        writeln!(page, "- Other name: `{}`", others.join("`, `")).unwrap();
    }
    writeln!(page, "- Value: {}", key.kind).unwrap();
    writeln!(page, "- Default: {}", key.default).unwrap();
    if !key.variables.is_empty() {
        let variables = key.variables.join("`, `");
        writeln!(page, "- Environment: `{variables}`").unwrap();
    }
    writeln!(page, "- In code: {}", in_code(name)).unwrap();
    let reload = if key.is_live {
        "yes"
    } else {
        "needs a restart"
    };
    writeln!(page, "- Reload: {reload}").unwrap();
    writeln!(page, "- Source: {}", key.source).unwrap();
}

/// The setter, which a doc link checks to be there.
fn in_code(name: &str) -> String {
    let setter = match name {
        "sampling_rate_per_million" => "with_sampling_rate".to_owned(),
        name => format!("with_{name}"),
    };
    format!(
        "[`{setter}`](crate::TowlineBuilder::{setter}), [`Config::{setter}`](crate::Config::{setter})"
    )
}

fn anchor(key: &Key) -> &'static str {
    key.field.name()
}

#[test]
#[allow(clippy::print_stderr, reason = "it is what a failed test says")]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/configuration.md is not what the table says: UPDATE=1 cargo test -p towline"
    );
}

/// What a row shows is what the parser takes, and no row is forgotten by the others.
#[cfg(feature = "yaml")]
#[test]
fn every_example_is_read() {
    for key in KEYS {
        for name in key.field.names {
            let text = format!("tracing_service: {{ {name}: {} }}", key.example);
            let config = crate::Config::from_yaml(&text).unwrap_or_else(|error| panic!("{error}"));
            for other in KEYS {
                let is_said = (other.shown)(&config.settings).is_some();
                assert_eq!(
                    is_said,
                    other.field.name() == key.field.name(),
                    "{text}: {}",
                    other.field.name()
                );
            }
        }
    }
}

/// Each source alone, and each before the next.
#[cfg(feature = "yaml")]
#[test]
fn what_comes_first_wins_for_every_setting() {
    use super::Settings;

    for key in KEYS {
        let name = key.field.name();
        let text = format!("tracing_service: {{ {name}: {} }}", key.example);
        let said = crate::Config::from_yaml(&text).unwrap().settings;
        let (nothing, other) = (Settings::default(), Settings::default());
        assert!((key.differs)(&said, &nothing), "{name}");
        assert!(!(key.differs)(&said, &said.clone()), "{name}");
        // The first is not overruled, the second fills what is left.
        assert!(!(key.differs)(&said.clone().or(other), &said), "{name}");
        assert!(!(key.differs)(&nothing.or(said.clone()), &said), "{name}");
        let mut adopted = Settings::default();
        (key.adopt)(&mut adopted, &said);
        assert!(!(key.differs)(&adopted, &said), "{name}");
    }
}

const INTRODUCTION: &str = "\
Every setting: what a file says under `tracing_service`, what the environment says, and what code says.

What is said in code wins over the file, that over the environment, that over the default; `OTEL_SDK_DISABLED=true` wins
over everything. That holds for each setting alone, with two exceptions: of the resource's attributes each one does, and
variables that are about a connection are passed over where there is none, as with files.

- **Times** are a whole number and its unit: `ms`, `s`, `m`, `h`, `d`, such as `500ms` or `10s`; up to `365d`.
- **Sizes** are a whole number of bytes, or one with its unit: `KiB`, `MiB`, `GiB` (1024), `kB`, `MB`, `GB` (1000).
- **Booleans** are those of YAML 1.1: `yes`, `no`, `true`, `false`, `on`, `off`, in any case.
- **Paths** count from the working directory, unless they are absolute.
- A key that is null or an empty text counts as not given. One that is unknown or given twice is an error, and so is a
  value of another kind: all of them are told at once, with the file, the line, the key, the value and what was expected.

The same keys are read by serde as a part of a configuration of your own, in any format: see [`Config`](crate::Config).

| key | value | default | environment |
|---|---|---|---|
";
