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

const RPC_METHOD: &str = "rpc.method";

/// The version of the semantic conventions whose names [`Conventions::Candidate`] has.
///
/// The layers have no say in the scope of the tracer that they are given. Who makes the tracer should
/// put this into it, so that a backend can translate the names to those of another version:
///
/// ```
/// use opentelemetry::InstrumentationScope;
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use towline_grpc::{Conventions, SCHEMA_URL};
///
/// let scope = InstrumentationScope::builder("towline-grpc").with_schema_url(SCHEMA_URL).build();
/// let tracer = SdkTracerProvider::builder().build().tracer_with_scope(scope);
/// assert_eq!(Conventions::default().schema_url(), SCHEMA_URL);
/// # let _ = towline_grpc::server::TraceLayer::new(tracer);
/// ```
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

impl Conventions {
    /// The version of the semantic conventions that has these names, as a scope's `schema_url`; see
    /// [`SCHEMA_URL`]. For [`Both`](Self::Both) it is the candidate's.
    #[must_use]
    pub const fn schema_url(self) -> &'static str {
        match self {
            Self::Candidate | Self::Both => SCHEMA_URL,
            // The last before the names were changed.
            Self::Older => "https://opentelemetry.io/schemas/1.37.0",
        }
    }

    const fn candidate(self) -> bool {
        matches!(self, Self::Candidate | Self::Both)
    }

    const fn older(self) -> bool {
        matches!(self, Self::Older | Self::Both)
    }

    /// The system: gRPC.
    pub(crate) fn system(self, mut set: impl FnMut(KeyValue)) {
        if self.candidate() {
            set(KeyValue::new("rpc.system.name", "grpc"));
        }
        if self.older() {
            set(KeyValue::new("rpc.system", "grpc"));
        }
    }

    /// The method, or `_OTHER` and what it really was.
    pub(crate) fn method(self, method: &Method, known: bool, mut set: impl FnMut(KeyValue)) {
        if !known {
            set(KeyValue::new(RPC_METHOD, "_OTHER"));
            set(KeyValue::new("rpc.method_original", method.full()));
            return;
        }
        let name = if self.candidate() {
            method.full()
        } else {
            method.name()
        };
        set(KeyValue::new(RPC_METHOD, name));
        if self.older() {
            set(KeyValue::new("rpc.service", method.service()));
        }
    }

    /// The status code.
    pub(crate) fn code(self, code: Code, mut set: impl FnMut(KeyValue)) {
        if self.candidate() {
            set(KeyValue::new("rpc.response.status_code", code.as_str()));
        }
        if self.older() {
            set(KeyValue::new("rpc.grpc.status_code", code as i64));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use towline_http::RequestHead;

    use super::*;
    use crate::method::Methods;

    fn all(conventions: Conventions, path: &str) -> Vec<String> {
        let request = Request::get(path).body(()).unwrap();
        let method = Method::of_request(RequestHead::from(&request), &Methods::default());
        let known = method.was_known(Code::NotFound);
        let mut shown = Vec::new();
        let mut set = |found: KeyValue| shown.push(format!("{}={}", found.key, found.value));
        conventions.system(&mut set);
        conventions.method(&method, known, &mut set);
        conventions.code(Code::NotFound, &mut set);
        shown
    }

    #[test]
    fn each_version_has_its_names_and_both_have_all() {
        assert_eq!(
            all(Conventions::Candidate, "/a.B/C"),
            [
                "rpc.system.name=grpc",
                "rpc.method=a.B/C",
                "rpc.response.status_code=NOT_FOUND",
            ]
        );
        assert_eq!(
            all(Conventions::Older, "/a.B/C"),
            [
                "rpc.system=grpc",
                "rpc.method=C",
                "rpc.service=a.B",
                "rpc.grpc.status_code=5",
            ]
        );
        assert_eq!(
            all(Conventions::Both, "/a.B/C"),
            [
                "rpc.system.name=grpc",
                "rpc.system=grpc",
                "rpc.method=a.B/C",
                "rpc.service=a.B",
                "rpc.response.status_code=NOT_FOUND",
                "rpc.grpc.status_code=5",
            ]
        );
    }

    #[test]
    fn what_is_not_known_keeps_its_name_beside() {
        for conventions in [
            Conventions::Candidate,
            Conventions::Older,
            Conventions::Both,
        ] {
            let attributes = all(conventions, "/what");
            assert!(attributes.contains(&"rpc.method=_OTHER".to_owned()));
            assert!(attributes.contains(&"rpc.method_original=what".to_owned()));
            assert!(
                !attributes
                    .iter()
                    .any(|text| text.starts_with("rpc.service"))
            );
        }
    }
}
