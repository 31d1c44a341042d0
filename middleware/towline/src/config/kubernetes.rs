//! The `TracingConfiguration` of Kubernetes, as a document of its own and as the kubelet's `tracing` stanza.

use towline_otlp::{Endpoint, EndpointError};
use towline_sampler::Rate;

use super::node::{Node, Value};
use super::origin::{Origin, Place};
use super::problem::{Problem, Problems};
use super::read::{self, Entry};
use super::said::Said;
use super::section::{Field, Grammar, Reading};
use super::settings::Settings;
use crate::StartErrorKind;

/// A document of its own.
#[cfg_attr(
    not(feature = "yaml"),
    expect(dead_code, reason = "documents are YAML")
)]
pub(super) fn document(pairs: Vec<(Node, Node)>, place: &Place) -> Reading {
    let mut fields = stanza_fields();
    fields.extend([
        Field {
            names: &[API_VERSION],
            read: api_version,
        },
        Field {
            names: &[KIND_KEY],
            read: |_, _, _| {},
        },
    ]);
    let has_version = pairs
        .iter()
        .any(|(key, node)| key.as_text() == Some(API_VERSION) && !node.is_nothing());
    let mut reading = read(KIND, fields, Value::Map(pairs).into(), place);
    if !has_version {
        let origin = Origin::key(API_VERSION, place.clone());
        let rest = format!(" is not given: expected {EXPECTED_VERSIONS}");
        let problem = Problem::of(StartErrorKind::Config, &origin, rest);
        reading.problems.push(problem);
    }
    reading
}

/// The stanza of a kubelet's configuration, or in another program's.
pub(super) fn stanza(node: Node, place: &Place) -> Reading {
    read("`tracing`", stanza_fields(), node, place)
}

/// Whether a `tracing` section is the kubelet's, and not RFD 65's: by the document that it stands in, or by its keys.
#[cfg_attr(
    not(feature = "yaml"),
    expect(dead_code, reason = "documents are YAML")
)]
pub(super) fn is_stanza(node: &Node, is_kubelet: bool) -> bool {
    let Value::Map(pairs) = &node.value else {
        return false;
    };
    let names = || pairs.iter().filter_map(|(key, _)| key.as_text());
    is_kubelet
        || (names().any(|name| [ENDPOINT, SAMPLING_RATE].contains(&name))
            && names().all(|name| [ENDPOINT, SAMPLING_RATE].contains(&name)))
}

fn stanza_fields() -> Vec<Field> {
    vec![
        Field {
            names: &[ENDPOINT],
            read: |settings, entry, problems| settings.exporter_url = endpoint(entry, problems),
        },
        Field {
            names: &[SAMPLING_RATE],
            read: |settings, entry, problems| {
                settings.sampling_rate_per_million = read::rate(entry, problems);
            },
        },
    ]
}

fn read(name: &'static str, fields: Vec<Field>, node: Node, place: &Place) -> Reading {
    let there = place.at(node.position);
    let grammar = Grammar {
        name,
        fields,
        others: OTHERS,
    };
    let mut reading = grammar.read(node, place);
    let by_default = |key| Origin::key(key, there.clone());
    let Settings {
        enabled,
        exporter_url,
        sampling_rate_per_million,
        ..
    } = &mut reading.settings;
    // A configuration that is there is on.
    *enabled = Some(Said::new(true, by_default("enabled")));
    if !reading.broken.contains(&ENDPOINT) {
        exporter_url.get_or_insert_with(|| {
            Said::new(Endpoint::parse(DEFAULT_ENDPOINT), by_default(ENDPOINT))
        });
    }
    sampling_rate_per_million
        .get_or_insert_with(|| Said::new(Rate::NEVER, by_default(SAMPLING_RATE)));
    // What is broken here has another name there.
    for broken in &mut reading.broken {
        *broken = match *broken {
            ENDPOINT => "exporter_url",
            SAMPLING_RATE => "sampling_rate_per_million",
            other => other,
        };
    }
    reading
}

/// A gRPC target: an address, `dns:` or a unix socket. HTTP and TLS are not Kubernetes'.
fn endpoint(
    entry: Entry,
    problems: &mut Problems,
) -> Option<Said<Result<Endpoint, EndpointError>>> {
    let Some(text) = entry.node.as_text() else {
        entry.is_wrong(problems, EXPECTED_ENDPOINT);
        return None;
    };
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let url = match scheme {
        // A server to ask for the name would stand before the last slash.
        Some("dns") => match text.trim_start_matches("dns://").split_once('/') {
            Some(("", address)) => address,
            Some(_) => {
                entry.is_wrong(
                    problems,
                    "a name without a DNS server of its own, such as dns:///collector:4317",
                );
                return None;
            }
            None => text.trim_start_matches("dns://"),
        },
        None => text.strip_prefix("dns:").unwrap_or(text),
        Some("unix" | "unix-abstract") => text,
        Some(_) => {
            entry.is_wrong(problems, EXPECTED_ENDPOINT);
            return None;
        }
    };
    match Endpoint::parse(url) {
        Ok(endpoint) => Some(Said::new(Ok(endpoint), entry.origin)),
        Err(error) => {
            let rest = format!(": {error}");
            problems.push(Problem::of(StartErrorKind::Exporter, &entry.origin, rest));
            None
        }
    }
}

fn api_version(_settings: &mut Settings, entry: Entry, problems: &mut Problems) {
    if !entry
        .node
        .as_text()
        .is_some_and(|text| VERSIONS.contains(&text))
    {
        entry.is_wrong(problems, EXPECTED_VERSIONS);
    }
}

/// Of a document that is nothing but a tracing configuration.
pub(super) const KIND: &str = "TracingConfiguration";

/// Of a document whose `tracing` is one.
#[cfg_attr(
    not(feature = "yaml"),
    expect(dead_code, reason = "documents are YAML")
)]
pub(super) const KUBELET_KIND: &str = "KubeletConfiguration";

pub(super) const API_VERSION: &str = "apiVersion";

pub(super) const ENDPOINT: &str = "endpoint";

pub(super) const SAMPLING_RATE: &str = "samplingRatePerMillion";

const KIND_KEY: &str = "kind";

const VERSIONS: [&str; 3] = [
    "apiserver.config.k8s.io/v1",
    "apiserver.config.k8s.io/v1beta1",
    "apiserver.config.k8s.io/v1alpha1",
];

const EXPECTED_VERSIONS: &str = "apiserver.config.k8s.io/v1, or v1beta1 or v1alpha1 in place of v1";

const EXPECTED_ENDPOINT: &str = "host:port, dns:///host:port, unix:///socket or unix-abstract:name";

const DEFAULT_ENDPOINT: &str = "localhost:4317";

/// What our own keys are called there.
const OTHERS: &[(&str, &str)] = &[
    ("exporter_url", ENDPOINT),
    ("sampling_rate_per_million", SAMPLING_RATE),
];
