//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use serde_json::Value;
use towline::{StartError, Towline, TowlineBuilder};
use tracing_subscriber::fmt::MakeWriter;

/// Log lines, kept.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// Runs `run` with everything that it logs kept.
    pub(crate) fn of<T>(run: impl FnOnce() -> T) -> (T, Vec<String>) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .without_time()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let result = tracing::subscriber::with_default(subscriber, run);
        (result, log.lines())
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A span processor that sees nothing, but may want to: with it the SDK records.
#[derive(Debug)]
pub(crate) struct Onlooker;

impl SpanProcessor for Onlooker {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Builds, and keeps what of the log is the facade's.
pub(crate) fn start(builder: TowlineBuilder) -> (Result<Towline, StartError>, Vec<String>) {
    let (result, lines) = Log::of(|| builder.build());
    let lines = lines
        .into_iter()
        .filter(|line| line.contains(" towline: "))
        .map(|line| line.trim().to_owned())
        .collect();
    (result, lines)
}

/// Every span in the files of a directory, each with the resource and the scope that it stands under.
pub(crate) fn spans(directory: &Path) -> Vec<Exported> {
    let mut spans = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            for resource_spans in list(&request["resourceSpans"]) {
                for scope_spans in list(&resource_spans["scopeSpans"]) {
                    for span in list(&scope_spans["spans"]) {
                        spans.push(Exported {
                            resource: resource_spans["resource"].clone(),
                            resource_schema_url: resource_spans["schemaUrl"].clone(),
                            scope: scope_spans["scope"].clone(),
                            scope_schema_url: scope_spans["schemaUrl"].clone(),
                            span,
                        });
                    }
                }
            }
        }
    }
    spans
}

/// A span as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    pub(crate) resource: Value,
    pub(crate) resource_schema_url: Value,
    pub(crate) scope: Value,
    pub(crate) scope_schema_url: Value,
    pub(crate) span: Value,
}

impl Exported {
    pub(crate) fn name(&self) -> &str {
        self.span["name"].as_str().unwrap()
    }

    /// A resource attribute that is text.
    pub(crate) fn resource_text(&self, key: &str) -> Option<String> {
        let attributes = list(&self.resource["attributes"]);
        let found = attributes
            .iter()
            .find(|attribute| attribute["key"] == key)?;
        Some(found["value"]["stringValue"].as_str()?.to_owned())
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
