//! For tonic stacks that take nothing but an interceptor.
//!
//! An interceptor sees the metadata of a request and nothing else: not the response, not the status,
//! not the end of a stream. So these make no spans. [`InjectInterceptor`] passes the context on that
//! is current where the call is made; [`ExtractInterceptor`] leaves the caller's context in the
//! request's extensions, where a handler finds it as [`CallContext`]. Wherever a layer fits, take the
//! layer.
//!
//! ```
//! use opentelemetry::Context;
//! use opentelemetry::trace::TraceContextExt;
//! use tonic::service::Interceptor;
//! use towline_grpc::interceptor::{CallContext, ExtractInterceptor, InjectInterceptor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut incoming = tonic::Request::new(());
//! let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! incoming.metadata_mut().insert("traceparent", traceparent.parse()?);
//!
//! // GreeterServer::with_interceptor(greeter, ExtractInterceptor::new())
//! let incoming = ExtractInterceptor::new().call(incoming)?;
//! let context = incoming.extensions().get::<CallContext>().ok_or("no context")?;
//! assert!(context.get().span().span_context().is_sampled());
//!
//! // GreeterClient::with_interceptor(channel, InjectInterceptor::new())
//! let attached = context.get().clone().attach();
//! let outgoing = InjectInterceptor::new().call(tonic::Request::new(()))?;
//! drop(attached);
//! assert_eq!(outgoing.metadata().get("traceparent").unwrap(), traceparent);
//! # Ok(())
//! # }
//! ```

use opentelemetry::Context;
use tonic::service::Interceptor;
use tonic::{Request, Status};
use towline_propagation::Propagator;

use crate::trace_bin;

/// Writes the current context into the metadata of each call.
#[derive(Clone, Debug, Default)]
pub struct InjectInterceptor {
    propagator: Propagator,
}

/// Reads the caller's context from the metadata of each call into its extensions.
#[derive(Clone, Debug, Default)]
pub struct ExtractInterceptor {
    propagator: Propagator,
    grpc_trace_bin: bool,
}

/// The caller's context, in the extensions of a request that went through
/// [`ExtractInterceptor`].
///
/// It is current nowhere: attach it, or start spans with it as their parent.
#[derive(Clone, Debug)]
pub struct CallContext(Context);

impl InjectInterceptor {
    /// An interceptor for W3C Trace Context and W3C Baggage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which metadata carries the context.
    #[must_use]
    pub fn with_propagator(mut self, propagator: Propagator) -> Self {
        self.propagator = propagator;
        self
    }
}

impl Interceptor for InjectInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.propagator
            .inject(&Context::current(), request.metadata_mut().as_mut());
        Ok(request)
    }
}

impl ExtractInterceptor {
    /// An interceptor for W3C Trace Context and W3C Baggage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which metadata carries the context.
    #[must_use]
    pub fn with_propagator(mut self, propagator: Propagator) -> Self {
        self.propagator = propagator;
        self
    }

    /// Also reads `grpc-trace-bin`; see
    /// [`with_grpc_trace_bin`](crate::server::TraceLayer::with_grpc_trace_bin) of the layer.
    #[must_use]
    pub fn with_grpc_trace_bin(mut self) -> Self {
        self.grpc_trace_bin = true;
        self
    }
}

impl Interceptor for ExtractInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata().as_ref();
        let mut extraction = self.propagator.extract(metadata, &Context::current());
        if self.grpc_trace_bin {
            trace_bin::fall_back(metadata, &mut extraction);
        }
        let context = CallContext(extraction.into_context());
        request.extensions_mut().insert(context);
        Ok(request)
    }
}

impl CallContext {
    /// The context.
    #[must_use]
    pub const fn get(&self) -> &Context {
        &self.0
    }
}
