//! How batches are shipped, as layers around any `tower::Service<Batch>`.
//!
//! An [`Exporter`](crate::Exporter) puts them around its transport by itself. They are public for
//! those who ship batches without one.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt};
//! use towline_otlp::policy::{Backoff, RetryLayer, TimeoutLayer};
//! use towline_otlp::{Batch, Discard};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), towline_otlp::ExportError> {
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(Backoff::new().max_elapsed(Duration::from_secs(30))))
//!     .layer(TimeoutLayer::new(Duration::from_secs(10)))
//!     .service(Discard::new());
//! let receipt = service.oneshot(Batch::default()).await?;
//! assert_eq!(receipt.rejected_spans(), 0);
//! # Ok(())
//! # }
//! ```

mod backoff;
mod observe;
mod retry;
mod split;
mod timeout;
mod unimplemented;

pub use self::backoff::Backoff;
pub use self::retry::{Retry, RetryFuture, RetryLayer};
pub use self::split::{Split, SplitFuture, SplitLayer};
pub use self::timeout::{Timeout, TimeoutFuture, TimeoutLayer};
pub use self::unimplemented::{Unimplemented, UnimplementedFuture, UnimplementedLayer};

pub(crate) use self::observe::{Observe, Observer};
pub(crate) use self::retry::Closing;
