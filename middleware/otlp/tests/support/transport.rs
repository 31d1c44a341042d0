//! Transports without a network: they keep what they get, and answer as they are told.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tower_service::Service;
use towline_otlp::{Batch, ExportError, Receipt};

/// Answers the n-th batch, counted from 0, by a function.
#[derive(Clone)]
pub struct Scripted {
    script: Script,
    calls: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<Batch>>>,
}

pub type Answer = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + Send>>;

type Script = Arc<dyn Fn(usize, &Batch) -> Answer + Send + Sync>;

impl Scripted {
    pub fn new(script: impl Fn(usize, &Batch) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            calls: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// Takes everything.
    pub fn accepting() -> Self {
        Self::new(|_, _| Box::pin(std::future::ready(Ok(Receipt::accepted()))))
    }

    /// Never answers.
    pub fn hanging() -> Self {
        Self::new(|_, _| Box::pin(std::future::pending()))
    }

    /// Fails each time.
    pub fn failing(error: ExportError) -> Self {
        Self::new(move |_, _| Box::pin(std::future::ready(Err(error.clone()))))
    }

    /// How many batches came.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The batches that were taken, in order.
    pub fn taken(&self) -> Vec<Batch> {
        self.taken.lock().unwrap().clone()
    }

    /// The same, decoded.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.taken().iter().map(decode).collect()
    }
}

impl Service<Batch> for Scripted {
    type Response = Receipt;
    type Error = ExportError;
    type Future = Answer;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let answer = (self.script)(self.calls.fetch_add(1, Ordering::SeqCst), &batch);
        let taken = Arc::clone(&self.taken);
        Box::pin(async move {
            let answer = answer.await;
            if answer.is_ok() {
                taken.lock().unwrap().push(batch);
            }
            answer
        })
    }
}

pub fn decode(batch: &Batch) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(batch.bytes().clone()).expect("a request")
}
