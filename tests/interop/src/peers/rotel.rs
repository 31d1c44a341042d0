//! [Rotel], a collector: it prints what it receives, and sends it on.
//!
//! [Rotel]: https://rotel.dev

use std::net::SocketAddr;
use std::process::Command;

use crate::peer::Peer;
use crate::sink::Sink;
use crate::span::{
    Attribute, Event, KINDS, Link, Resource, STATUS_CODES, Scope, Span, Value, number, sort,
};
use crate::tools;

/// A Rotel that receives over gRPC and HTTP.
#[derive(Debug)]
pub struct Rotel {
    peer: Peer,
    grpc: SocketAddr,
    http: SocketAddr,
}

// === impl Rotel ===

impl Rotel {
    /// Starts one that sends on, over OTLP/gRPC and compressed, as it does unless told otherwise.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(sink: SocketAddr) -> Self {
        Self::with(sink, |command| {
            command
                .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
                // A resource's spans that it spreads over two batches lose their resource in the first.
                .args(["--batch-max-size", "1000000"]);
        })
    }

    /// Starts one that prints nothing and sends on uncompressed, in batches as by its defaults or
    /// in none.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_plain(sink: SocketAddr, batching: bool) -> Self {
        Self::with(sink, |command| {
            command.args(["--otlp-exporter-compression", "none"]);
            if !batching {
                command.arg("--disable-batching");
            }
        })
    }

    fn with(sink: SocketAddr, options: impl Fn(&mut Command)) -> Self {
        let (peer, [grpc, http]) = Peer::start("rotel", |[grpc, http]: [SocketAddr; 2]| {
            let mut command = Command::new(tools::python("rotel-agent"));
            // Python runs inside of it.
            command
                .env("LD_LIBRARY_PATH", tools::python_libraries())
                .args(["start", "--pid-file", "pid", "--log-file", "file"])
                .args(["--otlp-grpc-endpoint", &grpc.to_string()])
                .args(["--otlp-http-endpoint", &http.to_string()])
                .args(["--exporter", "otlp", "--otlp-exporter-protocol", "grpc"])
                .args(["--otlp-exporter-endpoint", &format!("http://{sink}")]);
            options(&mut command);
            command
        });
        Self { peer, grpc, http }
    }

    /// The process.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
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

    /// The spans that it has sent on to a sink, as soon as there are so many.
    ///
    /// # Panics
    ///
    /// When there are not, in time.
    #[track_caller]
    pub fn forwarded(&mut self, sink: &Sink, spans: usize) -> Vec<Span> {
        self.peer.until("as many spans at the sink", |_| {
            Some(sink.received()).filter(|received| received.len() >= spans)
        })
    }

    /// The spans that it has printed.
    ///
    /// It does not print flags, nor how many attributes, events and links a span had more, nor how
    /// many attributes a resource or a scope had: see [`as_printed`].
    ///
    /// # Panics
    ///
    /// When it prints something unheard of.
    #[must_use]
    pub fn printed(&self) -> Vec<Span> {
        Printed::default().read(&self.peer.log())
    }
}

/// What Rotel prints of a span: all but the few fields that it passes over.
#[must_use]
pub fn as_printed(mut span: Span) -> Span {
    span.flags = 0;
    span.dropped_attributes = 0;
    span.dropped_events = 0;
    span.dropped_links = 0;
    for link in &mut span.links {
        link.flags = 0;
    }
    span
}

/// What has been read so far.
#[derive(Default)]
struct Printed {
    resource: Resource,
    scope: Scope,
    spans: Vec<Span>,
    place: Place,
}

/// What the fields and attributes that come next belong to.
#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Nowhere,
    Resource,
    Scope,
    Span,
    Event,
    Link,
}

// === impl Printed ===

impl Printed {
    fn read(mut self, log: &str) -> Vec<Span> {
        for entry in entries(log) {
            self.entry(&entry);
        }
        self.spans
    }

    fn entry(&mut self, entry: &str) {
        let field = |name: &str| entry.strip_prefix(name);
        if field("ResourceSpans #").is_some() {
            (self.resource, self.place) = (Resource::default(), Place::Resource);
        } else if let Some(url) = field("Resource SchemaURL: ") {
            self.resource.schema_url = url.to_owned();
        } else if field("ScopeSpans #").is_some() {
            (self.scope, self.place) = (Scope::default(), Place::Scope);
        } else if let Some(url) = field("ScopeSpans SchemaURL: ") {
            self.scope.schema_url = url.to_owned();
        } else if HEADINGS.contains(&entry) {
        } else if let Some(scope) = field("InstrumentationScope ") {
            let (name, version) = scope.split_once(' ').expect("name and version");
            (self.scope.name, self.scope.version) = (name.to_owned(), version.to_owned());
        } else if field("Span #").is_some() {
            sort(&mut self.resource.attributes);
            self.place = Place::Span;
            self.spans.push(Span {
                resource: self.resource.clone(),
                scope: self.scope.clone(),
                ..Span::default()
            });
        } else if field("SpanEvent #").is_some() {
            self.place = Place::Event;
            self.span().events.push(Event::default());
        } else if field("SpanLink #").is_some() {
            self.place = Place::Link;
            self.span().links.push(Link::default());
        } else if let Some(attribute) = field("          -> ") {
            self.attribute(attribute);
        } else if let Some(text) = field("     -> ") {
            match self.place {
                Place::Event | Place::Link => self.field_of_item(text),
                _ => self.attribute(text),
            }
        } else {
            self.field_of_span(entry);
        }
    }

    fn field_of_span(&mut self, entry: &str) {
        let (name, value) = entry.split_once(": ").expect("name and value");
        let span = self.span();
        match name.trim() {
            "Trace ID" => span.trace_id = value.to_owned(),
            "Parent ID" => span.parent_span_id = value.to_owned(),
            "ID" => span.span_id = value.to_owned(),
            "Name" => span.name = value.to_owned(),
            "Kind" => span.kind = number(KINDS, value),
            "TraceState" => span.trace_state = value.to_owned(),
            "Start time" => span.start_time = value.parse().expect("a time"),
            "End time" => span.end_time = value.parse().expect("a time"),
            "Status code" => span.status_code = number(STATUS_CODES, value),
            "Status message" => span.status_message = value.to_owned(),
            _ => panic!("Rotel prints an unknown field of a span: {entry}"),
        }
    }

    /// A field of an event or a link.
    fn field_of_item(&mut self, text: &str) {
        let (name, value) = text.split_once(':').expect("name and value");
        let value = value.strip_prefix(' ').unwrap_or(value);
        let place = self.place;
        let span = self.span();
        match (place, name) {
            (Place::Event, name) => {
                let event = span.events.last_mut().expect("an event");
                match name {
                    "Name" => event.name = value.to_owned(),
                    "Timestamp" => event.time = value.parse().expect("a time"),
                    "DroppedAttributesCount" => {
                        event.dropped_attributes = value.parse().expect("a count");
                    }
                    _ => panic!("Rotel prints an unknown field of an event: {text}"),
                }
            }
            (_, name) => {
                let link = span.links.last_mut().expect("a link");
                match name {
                    "Trace ID" => link.trace_id = value.to_owned(),
                    "ID" => link.span_id = value.to_owned(),
                    "TraceState" => link.trace_state = value.to_owned(),
                    "DroppedAttributesCount" => {
                        link.dropped_attributes = value.parse().expect("a count");
                    }
                    _ => panic!("Rotel prints an unknown field of a link: {text}"),
                }
            }
        }
    }

    fn attribute(&mut self, text: &str) {
        let (key, value) = text.split_once(": ").expect("key and value");
        let attribute = Attribute::new(key, read_value(value));
        let attributes = match self.place {
            Place::Nowhere => panic!("Rotel prints an attribute of nothing: {text}"),
            Place::Resource => &mut self.resource.attributes,
            Place::Scope => &mut self.scope.attributes,
            Place::Span => &mut self.span().attributes,
            Place::Event => &mut self.span().events.last_mut().expect("an event").attributes,
            Place::Link => &mut self.span().links.last_mut().expect("a link").attributes,
        };
        attributes.push(attribute);
    }

    fn span(&mut self) -> &mut Span {
        self.spans.last_mut().expect("a span before its fields")
    }
}

/// The entries of the log that are about spans. One goes on over several lines if there are line
/// breaks in its text.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    // Of its last line the end may not have been written yet.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.split('\n') {
        if STARTS.iter().any(|start| line.starts_with(start)) || entries.is_empty() {
            entries.push(line.to_owned());
        } else if let Some(entry) = entries.last_mut() {
            entry.push('\n');
            entry.push_str(line);
        }
    }
    entries.retain(|entry| !entry.starts_with(OWN));
    entries
}

/// The value of an attribute, as its kind and its text in parentheses.
fn read_value(text: &str) -> Value {
    let (kind, inner) = text.split_once('(').expect("kind and value");
    let inner = inner.strip_suffix(')').expect("a value in parentheses");
    match kind {
        "Str" => Value::String(inner.to_owned()),
        "Bool" => Value::Bool(inner.parse().expect("a truth value")),
        "Int" => Value::Int(inner.parse().expect("an integer")),
        "Double" => Value::Double(inner.parse::<f64>().expect("a double").into()),
        "Slice" => Value::Array(items(inner).into_iter().map(read_value).collect()),
        _ => panic!("Rotel prints an unknown kind of value: {text}"),
    }
}

/// The items of a list: each ends where another begins.
fn items(mut list: &str) -> Vec<&str> {
    let mut items = Vec::new();
    while !list.is_empty() {
        let ends = list.match_indices("), ").map(|(end, _)| end + 1);
        let ends = ends.filter(|end| ITEMS.iter().any(|item| list[end + 2..].starts_with(item)));
        let end = ends.min().unwrap_or(list.len());
        items.push(&list[..end]);
        list = list[end..].strip_prefix(", ").unwrap_or_default();
    }
    items
}

/// Headings that say nothing by themselves.
const HEADINGS: [&str; 6] = [
    "Resource attributes:",
    "InstrumentationScope attributes:",
    "Attributes:",
    "Events:",
    "Links:",
    "     -> Attributes::",
];

/// How Rotel's own messages begin: with an escape sequence for their colour.
const OWN: &str = "\u{1b}[2m";

/// How an entry begins.
const STARTS: &[&str] = &[
    OWN,
    "ResourceSpans #",
    "Resource ",
    "ScopeSpans ",
    "InstrumentationScope ",
    "Span #",
    "    Trace ID       : ",
    "    Parent ID      : ",
    "    ID             : ",
    "    Name           : ",
    "    Kind           : ",
    "    TraceState     : ",
    "Start time: ",
    "End time: ",
    "    Status code    : ",
    "    Status message : ",
    "Attributes:",
    "Events:",
    "SpanEvent #",
    "Links:",
    "SpanLink #",
    "     -> ",
    "          -> ",
];

/// How an item of a list begins.
const ITEMS: [&str; 4] = ["Str(", "Bool(", "Int(", "Double("];
