use std::future::Future;

use hyper::rt::Executor;
use tokio::sync::watch;

/// Spawns tasks, and knows when the last of them is over, by whichever way.
#[derive(Clone, Debug)]
pub struct Tasks {
    running: watch::Sender<()>,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            running: watch::Sender::new(()),
        }
    }

    /// Spawns one.
    pub fn spawn<F>(&self, future: F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let alive = self.running.subscribe();
        tokio::spawn(async move {
            future.await;
            drop(alive);
        });
    }

    /// Waits until none is left: they have returned, panicked or been dropped.
    pub async fn over(&self) {
        self.running.closed().await;
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}
