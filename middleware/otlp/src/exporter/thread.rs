use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use opentelemetry_sdk::Resource;
use tokio::runtime::{self, Runtime};

use super::command::Outcome;
use super::health::Health;
use super::outcome::{ShutdownError, ShutdownErrorKind};
use super::quiet;
use super::stats::Stats;
use super::worker::Worker;
use crate::buffer::Buffer;
use crate::encode::Envelope;

/// The resource of the spans, encoded.
#[derive(Debug)]
pub(super) struct ResourceSlot {
    /// Given to the builder, so that the provider's does not count.
    fixed: bool,
    envelope: Mutex<Arc<Envelope>>,
}

/// Starts the thread that exports, with a runtime of its own.
pub(super) fn spawn(worker: Worker, outcome: Arc<OnceLock<Outcome>>) -> io::Result<()> {
    let farewell = Farewell {
        buffer: Arc::clone(worker.buffer()),
        health: Arc::clone(worker.health()),
        outcome,
    };
    // The runtime is made there: were it dropped here, for want of a thread, in somebody's future,
    // it would panic.
    let (made, is_made) = mpsc::sync_channel(1);
    let run = move || {
        let runtime = match runtime() {
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

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread()
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
    outcome: Arc<OnceLock<Outcome>>,
}

// === impl Farewell ===

impl Drop for Farewell {
    fn drop(&mut self) {
        let before = self.buffer.snapshot().ledger;
        self.buffer.abandon();
        let stats = Stats::new(&self.buffer.snapshot(), self.health.failed_attempts());
        let lost = before.held + before.in_flight;
        self.outcome
            .get_or_init(|| Err(ShutdownError::new(ShutdownErrorKind::Stopped, lost, stats)));
    }
}

// === impl ResourceSlot ===

impl ResourceSlot {
    /// A resource without attributes, as long as nobody has given one.
    pub(super) fn new(resource: Option<&Resource>) -> Self {
        let envelope = match resource {
            Some(resource) => Envelope::of_resource(resource),
            None => Envelope::of_resource(&Resource::builder_empty().build()),
        };
        Self {
            fixed: resource.is_some(),
            envelope: Mutex::new(Arc::new(envelope)),
        }
    }

    pub(super) fn set_from_provider(&self, resource: &Resource) {
        if !self.fixed {
            let envelope = Arc::new(Envelope::of_resource(resource));
            *self.envelope.lock().unwrap_or_else(PoisonError::into_inner) = envelope;
        }
    }

    pub(super) fn get(&self) -> Arc<Envelope> {
        Arc::clone(&self.envelope.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// At most 15 bytes: Linux cuts longer names.
const THREAD_NAME: &str = "towline-otlp";
