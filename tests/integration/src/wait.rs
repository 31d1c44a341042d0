use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// Waits for what should come soon.
///
/// # Panics
///
/// At the caller's line if it does not come at all.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    within_or(future, || "it")
}

/// Waits for what should come soon, and can say what there is instead.
#[track_caller]
pub(crate) fn within_or<F, M>(
    future: F,
    instead: impl FnOnce() -> M,
) -> impl Future<Output = F::Output>
where
    F: Future,
    M: Display,
{
    let caller = Location::caller();
    async move {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_elapsed) => panic!("waited {LIMIT:?} at {caller} for {}", instead()),
        }
    }
}

/// Long enough for a crowded machine, short enough for whoever waits for the failure.
const LIMIT: Duration = Duration::from_secs(30);
