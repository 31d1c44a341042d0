//! What the example programs share: reverse proxies, a users app, a greeter, and a reader that turns exported
//! spans into pictures. The two that tell a whole story, [`quickstart`] and [`teleport`], have a module each.

pub mod expected;
pub mod grpc_proxy;
pub mod hello;
pub mod picture;
pub mod proxy;
pub mod quickstart;
pub mod server;
pub mod spans;
pub mod teleport;
pub mod users;

/// Ready when the process is asked to stop: Ctrl-C, or SIGTERM where there is one.
pub async fn until_interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler there is nothing to wait for; the signal itself ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
