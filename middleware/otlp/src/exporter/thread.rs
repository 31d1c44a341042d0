use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use tokio::runtime::{self, Runtime};

use super::command::Outcome;
use super::health::Health;
use super::outcome::{ShutdownError, ShutdownErrorKind};
use super::quiet;
use super::service::Traffic;
use super::stats::Stats;
use super::worker::Worker;
use crate::buffer::Buffer;
use crate::encode::Envelope;

/// The resource of the spans, encoded.
#[derive(Debug)]
pub(super) struct ResourceSlot {
    /// Given to the builder, so that the provider's does not count.
    fixed: bool,
    state: Mutex<ResourceState>,
}

#[derive(Debug)]
struct ResourceState {
    base: Resource,
    late: Vec<KeyValue>,
    envelope: Arc<Envelope>,
}

/// Changes the runtime of the export thread before it is made.
pub(super) type ConfigureRuntime = Box<dyn FnOnce(&mut runtime::Builder) + Send>;

/// Starts the thread that exports, with a runtime of its own.
pub(super) fn spawn(
    worker: Worker,
    outcome: Arc<OnceLock<Outcome>>,
    configure: Option<ConfigureRuntime>,
) -> io::Result<()> {
    let farewell = Farewell {
        buffer: Arc::clone(worker.buffer()),
        health: Arc::clone(worker.health()),
        traffic: Arc::clone(worker.traffic()),
        outcome,
    };
    // The runtime is made there: were it dropped here, for want of a thread, in somebody's future,
    // it would panic.
    let (made, is_made) = mpsc::sync_channel(1);
    let run = move || {
        let runtime = match runtime(configure) {
            Ok(runtime) => runtime,
            Err(error) => return drop(made.send(Err(error))),
        };
        drop(made.send(Ok(())));
        quiet::begin();
        runtime.block_on(worker.run(&farewell.outcome));
        // Something may still block, and must not keep the thread.
        runtime.shutdown_background();
        quiet::pause();
        drop(farewell);
    };
    std::thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .spawn(run)?;
    is_made
        .recv()
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

fn runtime(configure: Option<ConfigureRuntime>) -> io::Result<Runtime> {
    let mut builder = runtime::Builder::new_current_thread();
    if let Some(configure) = configure {
        configure(&mut builder);
    }
    builder
        .enable_all()
        .thread_name(THREAD_NAME)
        // The threads it keeps for what blocks: files and name lookups.
        .on_thread_start(quiet::begin)
        .on_thread_stop(quiet::pause)
        .on_thread_park(quiet::pause)
        .on_thread_unpark(quiet::resume)
        .build()
}

/// Settles the accounts however the thread ends, even by a panic.
struct Farewell {
    buffer: Arc<Buffer>,
    health: Arc<Health>,
    traffic: Arc<Traffic>,
    outcome: Arc<OnceLock<Outcome>>,
}

// === impl Farewell ===

impl Drop for Farewell {
    fn drop(&mut self) {
        let before = self.buffer.snapshot().ledger;
        self.buffer.abandon();
        let stats = Stats::new(
            &self.buffer.snapshot(),
            self.health.failed_attempts(),
            self.traffic.stats(),
        );
        let lost = before.held + before.in_flight;
        self.outcome
            .get_or_init(|| Err(ShutdownError::new(ShutdownErrorKind::Stopped, lost, stats)));
    }
}

// === impl ResourceSlot ===

impl ResourceSlot {
    /// A resource without attributes, as long as nobody has given one.
    pub(super) fn new(resource: Option<&Resource>) -> Self {
        let base = match resource {
            Some(resource) => resource.clone(),
            None => Resource::builder_empty().build(),
        };
        Self {
            fixed: resource.is_some(),
            state: Mutex::new(ResourceState {
                envelope: Arc::new(Envelope::of_resource(&base)),
                base,
                late: Vec::new(),
            }),
        }
    }

    pub(super) fn set_from_provider(&self, resource: &Resource) {
        if !self.fixed {
            self.update(|state| state.base = resource.clone());
        }
    }

    /// Adds attributes, which count more than those of the same name.
    pub(super) fn add(&self, attributes: Vec<KeyValue>) {
        self.update(|state| state.late = attributes);
    }

    pub(super) fn get(&self) -> Arc<Envelope> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.envelope)
    }

    fn update(&self, change: impl FnOnce(&mut ResourceState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.envelope = Arc::new(match state.late.as_slice() {
            [] => Envelope::of_resource(&state.base),
            late => Envelope::of_resource(&merged(&state.base, late)),
        });
    }
}

/// Of attributes with the same name the last counts.
fn merged(base: &Resource, late: &[KeyValue]) -> Resource {
    let attributes = base
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .chain(late.iter().cloned());
    let builder = Resource::builder_empty();
    match base.schema_url() {
        Some(url) => builder.with_schema_url(attributes, url.to_owned()),
        None => builder.with_attributes(attributes),
    }
    .build()
}

/// At most 15 bytes: Linux cuts longer names.
const THREAD_NAME: &str = "towline-otlp";
