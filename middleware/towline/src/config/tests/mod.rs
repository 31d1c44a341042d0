//! What is read, and what is said about what cannot be.

mod document;
mod section;

use super::{Config, ConfigError};

#[track_caller]
fn fails(text: &str, expected: &str) {
    let error = Config::from_yaml(text).unwrap_err();
    assert_eq!(error.to_string(), expected, "{text}");
}
