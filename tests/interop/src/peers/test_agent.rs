//! [ddapm-test-agent], a receiver of OTLP that answers what it has got.
//!
//! It shows a protobuf request as the JSON mapping of Python's protobuf library does: fields by
//! their names in the `.proto` file, bytes in base64, 64-bit integers as strings, doubles that JSON
//! has no number for as strings, fields with their default left out.
//!
//! [ddapm-test-agent]: https://github.com/DataDog/dd-apm-test-agent

use std::net::SocketAddr;
use std::process::Command;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use crate::peer::Peer;
use crate::span::{
    Attribute, Event, KINDS, Link, Resource, STATUS_CODES, Scope, Span, Value, hex, number, sort,
};
use crate::tools;

/// A test agent that receives over gRPC and HTTP.
#[derive(Debug)]
pub struct TestAgent {
    /// Held so that it runs.
    _peer: Peer,
    grpc: SocketAddr,
    http: SocketAddr,
}

// === impl TestAgent ===

impl TestAgent {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let (peer, [grpc, http, _]) =
            Peer::start("ddapm-test-agent", |[grpc, http, apm]: [SocketAddr; 3]| {
                let mut command = Command::new(tools::python("python"));
                command
                    .args(["-m", "ddapm_test_agent.agent"])
                    .args(["--host", "127.0.0.1", "--port", &apm.port().to_string()])
                    .args(["--otlp-grpc-port", &grpc.port().to_string()])
                    .args(["--otlp-http-port", &http.port().to_string()])
                    .arg("--disable-llmobs-data-forwarding");
                command
            });
        Self {
            _peer: peer,
            grpc,
            http,
        }
    }

    /// The exporter URL for OTLP/gRPC.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("grpc://{}", self.grpc)
    }

    /// The exporter URL for OTLP/HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The spans that it has received.
    ///
    /// # Panics
    ///
    /// When it does not answer, or something unheard of.
    #[must_use]
    pub fn received(&self) -> Vec<Span> {
        let url = format!("http://{}/test/session/traces", self.http);
        let answer = reqwest::blocking::get(url).expect("an answer");
        let answer = answer.error_for_status().expect("a success");
        let answer = answer.text().expect("a text");
        let requests = serde_json::from_str(&answer).expect("JSON");
        messages(requests).into_iter().flat_map(request).collect()
    }
}

fn request(mut request: Message) -> Vec<Span> {
    let mut spans = Vec::new();
    for mut of_resource in request.messages("resource_spans") {
        let mut resource = of_resource.message("resource");
        let mut resource = Resource {
            attributes: resource.attributes(),
            dropped_attributes: resource.number("dropped_attributes_count"),
            schema_url: of_resource.text("schema_url"),
        };
        sort(&mut resource.attributes);
        for mut of_scope in of_resource.messages("scope_spans") {
            let mut scope = of_scope.message("scope");
            let scope = Scope {
                name: scope.text("name"),
                version: scope.text("version"),
                attributes: scope.attributes(),
                dropped_attributes: scope.number("dropped_attributes_count"),
                schema_url: of_scope.text("schema_url"),
            };
            for otlp in of_scope.messages("spans") {
                spans.push(span(otlp, &resource, &scope));
            }
        }
    }
    spans
}

fn span(mut span: Message, resource: &Resource, scope: &Scope) -> Span {
    let mut status = span.message("status");
    Span {
        trace_id: span.id("trace_id"),
        span_id: span.id("span_id"),
        parent_span_id: span.id("parent_span_id"),
        trace_state: span.text("trace_state"),
        flags: span.number("flags"),
        name: span.text("name"),
        kind: span.name("kind", KINDS),
        start_time: span.number("start_time_unix_nano"),
        end_time: span.number("end_time_unix_nano"),
        attributes: span.attributes(),
        dropped_attributes: span.number("dropped_attributes_count"),
        events: span.messages("events").into_iter().map(event).collect(),
        dropped_events: span.number("dropped_events_count"),
        links: span.messages("links").into_iter().map(link).collect(),
        dropped_links: span.number("dropped_links_count"),
        status_code: status.name("code", STATUS_CODES),
        status_message: status.text("message"),
        resource: resource.clone(),
        scope: scope.clone(),
    }
}

fn event(mut event: Message) -> Event {
    Event {
        time: event.number("time_unix_nano"),
        name: event.text("name"),
        attributes: event.attributes(),
        dropped_attributes: event.number("dropped_attributes_count"),
    }
}

fn link(mut link: Message) -> Link {
    Link {
        trace_id: link.id("trace_id"),
        span_id: link.id("span_id"),
        trace_state: link.text("trace_state"),
        flags: link.number("flags"),
        attributes: link.attributes(),
        dropped_attributes: link.number("dropped_attributes_count"),
    }
}

fn value(mut value: Message) -> Value {
    let Some(kind) = value.0.keys().next().cloned() else {
        return Value::None;
    };
    match kind.as_str() {
        "string_value" => Value::String(value.text(&kind)),
        "bool_value" => Value::Bool(value.take(&kind).as_bool().expect("a truth value")),
        "int_value" => Value::Int(value.number(&kind)),
        "double_value" => Value::Double(match value.take(&kind) {
            Json::String(name) => name.parse::<f64>().expect("a double").into(),
            number => number.as_f64().expect("a double").into(),
        }),
        "array_value" => {
            let mut list = value.message(&kind);
            Value::Array(
                list.messages("values")
                    .into_iter()
                    .map(self::value)
                    .collect(),
            )
        }
        _ => panic!("the test agent shows an unknown kind of value: {kind}"),
    }
}

/// A message, of which every field must be taken.
#[derive(Default)]
struct Message(Map<String, Json>);

// === impl Message ===

impl Message {
    /// A field, or `null`.
    fn take(&mut self, key: &str) -> Json {
        self.0.remove(key).unwrap_or_default()
    }

    fn text(&mut self, key: &str) -> String {
        match self.take(key) {
            Json::String(text) => text,
            Json::Null => String::new(),
            other => panic!("{key} is {other}: expected a string"),
        }
    }

    fn id(&mut self, key: &str) -> String {
        hex(&STANDARD.decode(self.text(key)).expect("base64"))
    }

    fn name(&mut self, key: &str, names: &[&str]) -> i32 {
        match self.text(key).as_str() {
            "" => 0,
            name => number(names, name),
        }
    }

    fn number<T: FromStr + Default>(&mut self, key: &str) -> T {
        let text = match self.take(key) {
            Json::Null => return T::default(),
            Json::String(text) => text,
            other => other.to_string(),
        };
        match text.parse() {
            Ok(number) => number,
            Err(_) => panic!("{key} is {text}: expected a number"),
        }
    }

    fn message(&mut self, key: &str) -> Self {
        match self.take(key) {
            Json::Object(fields) => Self(fields),
            Json::Null => Self::default(),
            other => panic!("{key} is {other}: expected an object"),
        }
    }

    fn messages(&mut self, key: &str) -> Vec<Self> {
        messages(self.take(key))
    }

    fn attributes(&mut self) -> Vec<Attribute> {
        let attributes = self.messages("attributes").into_iter();
        attributes
            .map(|mut attribute| {
                Attribute::new(attribute.text("key"), value(attribute.message("value")))
            })
            .collect()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left: Vec<_> = self.0.keys().collect();
            assert!(
                left.is_empty(),
                "the test agent shows unknown fields: {left:?}"
            );
        }
    }
}

fn messages(list: Json) -> Vec<Message> {
    match list {
        Json::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Json::Object(fields) => Message(fields),
                other => panic!("{other} in a list: expected an object"),
            })
            .collect(),
        Json::Null => Vec::new(),
        other => panic!("{other}: expected a list"),
    }
}
