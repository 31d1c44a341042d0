use std::fmt;
use std::sync::Arc;

use towline_http::extras::{Extras, Redaction, ResponseTraceId};
use towline_propagation::Propagator;
use towline_span::Teller;

use crate::conventions::Conventions;
use crate::extras::Classify;
use crate::method::Methods;

/// What both sides let a user choose.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) propagator: Propagator,
    pub(crate) conventions: Conventions,
    pub(crate) methods: Methods,
    pub(crate) extras: Extras,
    pub(crate) redaction: Redaction,
    pub(crate) classify: Option<Classify>,
    /// On the server's side.
    pub(crate) trace_id: ResponseTraceId,
    /// On the client's side: the server that is called, if it was named.
    pub(crate) server: Option<(Arc<str>, u16)>,
    /// Who tells attributes by these options: another one after each change.
    pub(crate) teller: Teller,
}

impl Options {
    /// To be changed: what was told by the rules so far is not what will be.
    pub(crate) fn change(options: &mut Arc<Self>) -> &mut Self {
        let options = Arc::make_mut(options);
        options.teller = Teller::new();
        options
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("propagator", &self.propagator)
            .field("conventions", &self.conventions)
            .field("methods", &self.methods)
            .field("extras", &self.extras)
            .field("redaction", &self.redaction)
            .field("classify", &self.classify.is_some())
            .field("trace_id", &self.trace_id)
            .field("server", &self.server)
            .finish()
    }
}
