use opentelemetry::KeyValue;

use crate::code::Code;
use crate::method::Method;

/// Which names the attributes of a call have.
///
/// The RPC conventions are about to become stable and have been renamed on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conventions {
    /// The release candidate as it stands in semantic conventions 1.44.0: `rpc.system.name`,
    /// `rpc.method` fully qualified, `rpc.response.status_code` as a string. The default.
    #[default]
    Candidate,
    /// The names that most instrumentation has used so far: `rpc.system`, `rpc.service`, `rpc.method`
    /// without its service, `rpc.grpc.status_code` as a number.
    Older,
    /// Both at once, for dashboards on their way from one to the other. Where one name means two
    /// things, `rpc.method`, the candidate's meaning wins.
    Both,
}

pub(crate) const RPC_METHOD: &str = "rpc.method";

impl Conventions {
    const fn candidate(self) -> bool {
        matches!(self, Self::Candidate | Self::Both)
    }

    const fn older(self) -> bool {
        matches!(self, Self::Older | Self::Both)
    }

    /// The system: gRPC.
    pub(crate) fn system(self) -> impl Iterator<Item = KeyValue> {
        let candidate = self
            .candidate()
            .then(|| KeyValue::new("rpc.system.name", "grpc"));
        let older = self.older().then(|| KeyValue::new("rpc.system", "grpc"));
        candidate.into_iter().chain(older)
    }

    /// The method, or `_OTHER` and what it really was.
    pub(crate) fn method(self, method: &Method, known: bool) -> impl Iterator<Item = KeyValue> {
        let (name, original) = match (self.candidate(), known) {
            (true, true) => (method.full(), None),
            (false, true) => (method.name(), None),
            (_, false) => ("_OTHER".into(), Some(method.full())),
        };
        let service =
            (self.older() && known).then(|| KeyValue::new("rpc.service", method.service()));
        [KeyValue::new(RPC_METHOD, name)]
            .into_iter()
            .chain(original.map(|original| KeyValue::new("rpc.method_original", original)))
            .chain(service)
    }

    /// The status code.
    pub(crate) fn code(self, code: Code) -> impl Iterator<Item = KeyValue> {
        let candidate = self
            .candidate()
            .then(|| KeyValue::new("rpc.response.status_code", code.as_str()));
        let older = self
            .older()
            .then(|| KeyValue::new("rpc.grpc.status_code", code as i64));
        candidate.into_iter().chain(older)
    }
}
