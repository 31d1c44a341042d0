use super::cluster::Age;
use super::tsh::ForwardBy;
use crate::expected::Expected;

/// A command, and what it should leave behind.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Who types it.
    pub user: &'static str,
    /// What is typed after `tsh --trace`.
    pub command: &'static [&'static str],
    /// How the command ends, traced or not.
    pub exit_code: i32,
    /// How old the cluster is.
    pub age: Age,
    /// By which method spans are forwarded.
    pub forward_by: ForwardBy,
    /// Whether `tsh` writes its spans into files itself.
    pub has_exporter: bool,
    /// Every span of the one trace.
    pub spans: &'static [Expected],
    /// Whose name `tsh`'s spans are stamped with.
    pub stamp: Option<&'static str>,
    /// What the forwarder has to do.
    pub forwarder: Received,
}

/// What becomes of the requests at the forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// There are none.
    Nothing,
    /// They are forwarded.
    Spans,
    /// They are refused, since the user has not the role.
    Refused,
}

/// The whole story.
pub const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "ls",
        title: "servers at rate 0 join the trace of a user who asks for it",
        user: "alice",
        command: &["ls"],
        exit_code: 0,
        age: Age::New,
        forward_by: ForwardBy::Otlp,
        has_exporter: false,
        spans: LS,
        stamp: Some("alice"),
        forwarder: Received::Spans,
    },
    Scenario {
        name: "ssh",
        title: "the trace goes on in a protocol without headers; spans go by the RFD's own method",
        user: "alice",
        command: &["ssh", "root@web-1", "hostname"],
        exit_code: 0,
        age: Age::New,
        forward_by: ForwardBy::ExportSpan,
        has_exporter: false,
        spans: SSH,
        stamp: Some("alice"),
        forwarder: Received::Spans,
    },
    Scenario {
        name: "denied",
        title: "a command that fails does so as it would untraced, and the trace says where",
        user: "alice",
        command: &["ssh", "guest@web-1"],
        exit_code: 1,
        age: Age::New,
        forward_by: ForwardBy::Otlp,
        has_exporter: false,
        spans: SSH,
        stamp: Some("alice"),
        forwarder: Received::Spans,
    },
    Scenario {
        name: "exporter",
        title: "with an exporter of the user's own, tsh's spans go there and nowhere else",
        user: "alice",
        command: &["ls"],
        exit_code: 0,
        age: Age::New,
        forward_by: ForwardBy::Otlp,
        has_exporter: true,
        spans: LS,
        stamp: None,
        forwarder: Received::Nothing,
    },
    Scenario {
        name: "unauthorised",
        title: "a user without the role: tsh's spans are thrown away, and nobody is bothered",
        user: "bob",
        command: &["ls"],
        exit_code: 0,
        age: Age::New,
        forward_by: ForwardBy::ExportSpan,
        has_exporter: false,
        spans: LS_OF_SERVERS,
        stamp: None,
        forwarder: Received::Refused,
    },
    Scenario {
        name: "old",
        title: "a cluster too old for spans and envelopes: nothing changes for the user",
        user: "alice",
        command: &["ssh", "root@web-1", "hostname"],
        exit_code: 0,
        age: Age::Old,
        forward_by: ForwardBy::ExportSpan,
        has_exporter: false,
        spans: SSH_OF_OLD_SERVERS,
        stamp: None,
        forwarder: Received::Nothing,
    },
];

const LS: &[Expected] = &[
    Expected::new("tsh", "internal", "tsh/ls", None),
    Expected::new("tsh", "client", "GET", Some(0)),
    Expected::new("proxy", "server", "GET", Some(1)),
    Expected::new("proxy", "client", "GET", Some(2)),
    Expected::new("auth", "server", "GET /webapi/ping", Some(3)),
    Expected::new("tsh", "client", "proto.AuthService/ListNodes", Some(0)),
    Expected::new("auth", "server", "proto.AuthService/ListNodes", Some(5)),
    Expected::new("auth", "internal", "cache/GetNodes", Some(6)),
    Expected::new("auth", "client", "backend/GetRange", Some(7)),
    Expected::new("auth", "client", "proto.NodeService/Describe", Some(6)),
    Expected::new("node", "server", "proto.NodeService/Describe", Some(9)),
];

/// The same without those of `tsh`, below which they are.
const LS_OF_SERVERS: &[Expected] = &[
    Expected::under_missing("proxy", "server", "GET"),
    Expected::new("proxy", "client", "GET", Some(0)),
    Expected::new("auth", "server", "GET /webapi/ping", Some(1)),
    Expected::under_missing("auth", "server", "proto.AuthService/ListNodes"),
    Expected::new("auth", "internal", "cache/GetNodes", Some(3)),
    Expected::new("auth", "client", "backend/GetRange", Some(4)),
    Expected::new("auth", "client", "proto.NodeService/Describe", Some(3)),
    Expected::new("node", "server", "proto.NodeService/Describe", Some(6)),
];

const SSH: &[Expected] = &[
    Expected::new("tsh", "internal", "tsh/ssh", None),
    Expected::new("tsh", "client", "GET", Some(0)),
    Expected::new("proxy", "server", "GET", Some(1)),
    Expected::new("proxy", "client", "GET", Some(2)),
    Expected::new("auth", "server", "GET /webapi/ping", Some(3)),
    Expected::new("tsh", "client", "proto.AuthService/GetNode", Some(0)),
    Expected::new("auth", "server", "proto.AuthService/GetNode", Some(5)),
    Expected::new("auth", "internal", "cache/GetNode", Some(6)),
    Expected::new("auth", "client", "backend/Get", Some(7)),
    Expected::new("tsh", "client", "ssh/Dial", Some(0)),
    Expected::new("tsh", "client", "ssh/NewClientConn", Some(9)),
    Expected::new(
        "tsh",
        "client",
        "ssh.GlobalRequest/cluster-details",
        Some(0),
    ),
    Expected::new(
        "node",
        "server",
        "ssh.GlobalRequest/cluster-details",
        Some(11),
    ),
    Expected::new("tsh", "client", "ssh.NewSession", Some(0)),
    Expected::new("tsh", "client", "ssh.OpenChannel/session", Some(13)),
    Expected::new("tsh", "client", "ssh.SessionRequest/exec", Some(0)),
    Expected::new(
        "node",
        "server",
        "ssh.Regular.SessionRequest/exec",
        Some(15),
    ),
    Expected::new("node", "client", "proto.AuthService/CheckAccess", Some(16)),
    Expected::new("auth", "server", "proto.AuthService/CheckAccess", Some(17)),
    Expected::new("auth", "internal", "cache/GetUser", Some(18)),
    Expected::new("auth", "client", "backend/Get", Some(19)),
];

/// What headers alone bring about; beyond the node's session there is no trace.
const SSH_OF_OLD_SERVERS: &[Expected] = &[
    Expected::under_missing("proxy", "server", "GET"),
    Expected::new("proxy", "client", "GET", Some(0)),
    Expected::new("auth", "server", "GET /webapi/ping", Some(1)),
    Expected::under_missing("auth", "server", "proto.AuthService/GetNode"),
    Expected::new("auth", "internal", "cache/GetNode", Some(3)),
    Expected::new("auth", "client", "backend/Get", Some(4)),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let names: HashSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
