use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Request};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use towline_propagation::Extraction;

use super::caller::{Caller, CallerHeaders};
use super::{CallerContext, SampledFlag, Trust};
use crate::head::RequestHead;

/// How far a layer trusts its callers: all alike, or each by a function of its request.
///
/// The default is [`Trust::parent`] for everybody, which costs a branch.
#[derive(Clone, Default)]
pub struct TrustPolicy(Option<Kind>);

#[derive(Clone)]
enum Kind {
    Fixed(Trust),
    By(TrustBy),
}

type TrustBy = Arc<dyn Fn(RequestHead<'_>) -> Trust + Send + Sync>;

// === impl TrustPolicy ===

impl TrustPolicy {
    /// The same for everybody.
    #[must_use]
    pub const fn fixed(trust: Trust) -> Self {
        Self(Some(Kind::Fixed(trust)))
    }

    /// What this function says of each request.
    #[must_use]
    pub fn by(trust: impl Fn(RequestHead<'_>) -> Trust + Send + Sync + 'static) -> Self {
        Self(Some(Kind::By(Arc::new(trust))))
    }

    /// Reads the context that a caller has sent, as far as it is believed, on top of the current one.
    /// What is not believed is taken out of the request's headers.
    pub fn receive<B>(&self, request: &mut Request<B>, format: &impl CallerHeaders) -> Caller {
        let current = Context::current();
        match &self.0 {
            None => Caller::trusted(format.extract(request.headers(), &current)),
            Some(Kind::Fixed(trust)) => receive(trust, request.headers_mut(), format, current),
            Some(Kind::By(trust)) => {
                let trust = trust(RequestHead::from(&*request));
                receive(&trust, request.headers_mut(), format, current)
            }
        }
    }
}

impl fmt::Debug for TrustPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => Trust::parent().fmt(f),
            Some(Kind::Fixed(trust)) => trust.fmt(f),
            Some(Kind::By(_)) => f.write_str("by the request"),
        }
    }
}

fn receive(
    trust: &Trust,
    headers: &mut HeaderMap,
    format: &impl CallerHeaders,
    current: Context,
) -> Caller {
    // First, so that it is not even read.
    if !trust.baggage {
        format.remove_baggage(headers);
    }
    if trust.context == CallerContext::Parent {
        let mut extraction = format.extract(headers, &current);
        let parent = parent(&mut extraction);
        let by_rate = match (&trust.sampled, &parent) {
            (SampledFlag::Honour, _) | (_, None) => false,
            (SampledFlag::Ignore, _) => true,
            (SampledFlag::Limit(limiter), Some(parent)) => {
                parent.is_sampled() && !limiter.admits(parent.trace_id())
            }
        };
        return Caller::of_parent(extraction.base, parent, by_rate);
    }
    let link = match trust.context {
        CallerContext::Link => parent(&mut format.extract(headers, &current)),
        CallerContext::Parent | CallerContext::Ignore => None,
    };
    format.remove_trace_context(headers);
    let base = if trust.baggage {
        let mut rest = format.extract(headers, &current);
        // A propagator that does not say which headers it reads still finds them.
        match parent(&mut rest) {
            Some(_) => current,
            None => rest.base,
        }
    } else {
        current
    };
    Caller::unknown(base, link)
}

/// The caller's span, wherever the propagator has put it.
fn parent(extraction: &mut Extraction) -> Option<SpanContext> {
    extraction.parent.take().or_else(|| {
        let span = extraction.base.span();
        let parent = span.span_context();
        (parent.is_valid() && parent.is_remote()).then(|| parent.clone())
    })
}
