//! What ships batches.

mod boxed;
#[cfg(feature = "_hyper")]
mod client;
mod discard;
mod error;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "_hyper")]
mod response;

pub use self::boxed::{BoxTransport, BoxTransportFuture};
pub use self::discard::Discard;
pub use self::error::{TransportError, TransportErrorKind};
#[cfg(feature = "file")]
pub use self::file::{File, FileFuture};
#[cfg(feature = "grpc")]
pub use self::grpc::{Grpc, GrpcClient, GrpcFuture};
#[cfg(feature = "http")]
pub use self::http::{Http, HttpClient, HttpFuture};
