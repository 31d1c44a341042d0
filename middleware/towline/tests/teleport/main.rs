//! Beside Teleport, Kubernetes, etcd and CRI-O: a test for each thing that their configuration does, named after it. Where
//! ours differs, the page `guide::teleport` says why.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod configuration;
mod documentation;
mod exporter_url;
mod late;
mod programs;
mod provider;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use towline::{Config, Environment, StartError, Towline, TowlineBuilder};

const LONG: Duration = Duration::from_secs(60);

fn builder() -> TowlineBuilder {
    Towline::builder().with_environment(Environment::empty())
}

/// A `tracing_service` of these lines.
fn section(lines: &str) -> Config {
    Config::from_yaml(&format!("tracing_service: {{ {lines} }}")).unwrap()
}

/// What is said about a `tracing_service` of these lines that cannot be used.
fn refused(lines: &str) -> String {
    Config::from_yaml(&format!("tracing_service: {{ {lines} }}"))
        .unwrap_err()
        .to_string()
}

/// Where the log says that spans go.
#[track_caller]
fn exporter_of(builder: TowlineBuilder) -> String {
    let (tracing, lines) = support::start(builder);
    drop(tracing.unwrap());
    let (_, rest) = lines[0].split_once(" exporter=").unwrap();
    rest.split(" sampling_rate").next().unwrap().to_owned()
}

/// Where spans go with this URL.
#[track_caller]
fn goes_to(url: &str) -> String {
    exporter_of(builder().with_config(section(&format!("enabled: yes, exporter_url: '{url}'"))))
}

fn fails(config: Config) -> StartError {
    builder().with_config(config).build().unwrap_err()
}
