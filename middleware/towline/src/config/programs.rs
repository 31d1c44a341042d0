//! The tracing options of etcd and CRI-O, one to one.

use opentelemetry::KeyValue;
use towline_otlp::Endpoint;
use towline_sampler::Rate;

use super::node::{Node, Value};
use super::origin::{Origin, Place};
use super::problem::{Problem, Problems};
use super::read::{self, Attributes, Entry};
use super::said::Said;
use super::section::{Field, Grammar, Read, Reading};
use super::settings::Settings;
use crate::{Environment, StartErrorKind};

/// A program whose options are understood.
#[derive(Debug)]
pub(super) struct Program {
    options: &'static [ProgramOption],
    address: &'static str,
    service_name: Option<&'static str>,
}

/// One option, by each way of saying it.
#[derive(Debug)]
struct ProgramOption {
    /// With its dashes.
    flag: &'static str,
    variable: &'static str,
    /// In a table.
    key: &'static str,
    /// Whether the flag stands alone.
    is_switch: bool,
    read: Read,
}

/// etcd 3.6: [`--enable-distributed-tracing`] and its kin.
///
/// [`--enable-distributed-tracing`]: https://etcd.io/docs/v3.6/op-guide/configuration/
pub(super) const ETCD: Program = Program {
    options: &[
        ProgramOption {
            flag: "--enable-distributed-tracing",
            variable: "ETCD_ENABLE_DISTRIBUTED_TRACING",
            key: "enable-distributed-tracing",
            is_switch: true,
            read: enabled,
        },
        ProgramOption {
            flag: "--distributed-tracing-address",
            variable: "ETCD_DISTRIBUTED_TRACING_ADDRESS",
            key: "distributed-tracing-address",
            is_switch: false,
            read: address,
        },
        ProgramOption {
            flag: "--distributed-tracing-service-name",
            variable: "ETCD_DISTRIBUTED_TRACING_SERVICE_NAME",
            key: "distributed-tracing-service-name",
            is_switch: false,
            read: |settings, entry, problems| settings.service_name = read::text(entry, problems),
        },
        ProgramOption {
            flag: "--distributed-tracing-instance-id",
            variable: "ETCD_DISTRIBUTED_TRACING_INSTANCE_ID",
            key: "distributed-tracing-instance-id",
            is_switch: false,
            read: instance_id,
        },
        ProgramOption {
            flag: "--distributed-tracing-sampling-rate",
            variable: "ETCD_DISTRIBUTED_TRACING_SAMPLING_RATE",
            key: "distributed-tracing-sampling-rate",
            is_switch: false,
            read: rate,
        },
    ],
    address: "localhost:4317",
    service_name: Some("etcd"),
};

/// CRI-O: the table [`crio.tracing`], with the flags and the variables of its keys.
///
/// [`crio.tracing`]: https://github.com/cri-o/cri-o/blob/v1.34.0/docs/crio.conf.5.md#criotracing-table
pub(super) const CRIO: Program = Program {
    options: &[
        ProgramOption {
            flag: "--enable-tracing",
            variable: "CONTAINER_ENABLE_TRACING",
            key: "enable_tracing",
            is_switch: true,
            read: enabled,
        },
        ProgramOption {
            flag: "--tracing-endpoint",
            variable: "CONTAINER_TRACING_ENDPOINT",
            key: "tracing_endpoint",
            is_switch: false,
            read: address,
        },
        ProgramOption {
            flag: "--tracing-sampling-rate-per-million",
            variable: "CONTAINER_TRACING_SAMPLING_RATE_PER_MILLION",
            key: "tracing_sampling_rate_per_million",
            is_switch: false,
            read: rate,
        },
    ],
    address: "127.0.0.1:4317",
    service_name: None,
};

// === impl Program ===

impl Program {
    /// By arguments over variables. Other arguments belong to others.
    pub(super) fn read_flags(
        &self,
        flags: impl IntoIterator<Item = impl AsRef<str>>,
        environment: &Environment,
    ) -> Reading {
        let mut reading = Reading::default();
        let mut values: Vec<Option<(Origin, Node)>> = vec![None; self.options.len()];
        let mut complaints = Vec::new();
        for (option, value) in self.options.iter().zip(&mut values) {
            let text = environment.get(option.variable, &mut complaints);
            *value = text.map(|text| (Origin::variable(option.variable), plain(&text)));
        }
        for complaint in complaints {
            let problem = Problem::new(StartErrorKind::Config, complaint);
            reading.problems.push(problem);
        }
        let mut flags = flags.into_iter();
        while let Some(flag) = flags.next() {
            let flag = flag.as_ref();
            if flag == "--" {
                break;
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            // One dash does as well.
            let is_it = |option: &&ProgramOption| {
                name == option.flag || option.flag.strip_prefix('-') == Some(name)
            };
            let Some(index) = self.options.iter().position(|option| is_it(&option)) else {
                continue;
            };
            let (Some(option), Some(slot)) = (self.options.get(index), values.get_mut(index))
            else {
                continue;
            };
            let origin = Origin::flag(option.flag);
            let value = match value {
                Some(value) => Some(value),
                None if option.is_switch => Some("true".to_owned()),
                None => flags.next().map(|value| value.as_ref().to_owned()),
            };
            match value {
                // The last one counts.
                Some(value) => *slot = Some((origin, plain(&value))),
                None => {
                    let rest = " stands last: expected its value after it";
                    let problem = Problem::of(StartErrorKind::Config, &origin, rest);
                    reading.problems.push(problem);
                }
            }
        }
        for (option, value) in self.options.iter().zip(values) {
            if let Some((origin, node)) = value.filter(|(_, node)| !node.is_nothing()) {
                let entry = Entry { origin, node };
                (option.read)(&mut reading.settings, entry, &mut reading.problems);
            }
        }
        self.finish(reading)
    }

    /// By a table of a configuration file.
    pub(super) fn read_table(&self, node: Node) -> Reading {
        let fields = self.options.iter().map(|option| Field {
            names: std::slice::from_ref(&option.key),
            read: option.read,
        });
        let grammar = Grammar {
            name: "the tracing table",
            fields: fields.collect(),
            others: &[],
        };
        self.finish(grammar.read(node, &Place::default()))
    }

    /// What is not said is by default what the program has.
    fn finish(&self, mut reading: Reading) -> Reading {
        let by_default = |name| Origin::key(name, Place::default());
        let Settings {
            enabled,
            exporter_url,
            sampling_rate_per_million,
            service_name,
            ..
        } = &mut reading.settings;
        enabled.get_or_insert_with(|| Said::new(false, by_default("enabled")));
        exporter_url.get_or_insert_with(|| {
            Said::new(Endpoint::parse(self.address), by_default("exporter_url"))
        });
        sampling_rate_per_million
            .get_or_insert_with(|| Said::new(Rate::NEVER, by_default("sampling_rate_per_million")));
        if let Some(name) = self.service_name {
            service_name
                .get_or_insert_with(|| Said::new(name.to_owned(), by_default("service_name")));
        }
        reading
    }
}

fn plain(text: &str) -> Node {
    Value::Text(text.to_owned()).into()
}

/// [`strconv.ParseBool`](https://pkg.go.dev/strconv#ParseBool), or a boolean of the format.
fn enabled(settings: &mut Settings, entry: Entry, problems: &mut Problems) {
    let value = match &entry.node.value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    };
    match value {
        Some(value) => settings.enabled = Some(Said::new(value, entry.origin)),
        None => entry.is_wrong(problems, "true or false"),
    }
}

fn address(settings: &mut Settings, entry: Entry, problems: &mut Problems) {
    settings.exporter_url = read::exporter_url(entry, problems);
}

fn rate(settings: &mut Settings, mut entry: Entry, problems: &mut Problems) {
    if let Some(count) = entry.node.as_text().and_then(|text| text.parse().ok()) {
        entry.node.value = Value::Integer(count);
    }
    settings.sampling_rate_per_million = read::rate(entry, problems);
}

fn instance_id(settings: &mut Settings, entry: Entry, problems: &mut Problems) {
    settings.resource_attributes = read::text(entry, problems).map(|id| {
        let attribute = KeyValue::new("service.instance.id", id.value);
        Said::new(Attributes(vec![attribute]), id.origin)
    });
}
