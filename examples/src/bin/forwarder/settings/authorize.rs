use std::path::PathBuf;

use towline_forwarder::{CertificateName, OnRefusal};

use super::{YES_OR_NO, file, text};
use crate::problems::{Mapping, Problems, Said};
use crate::units;
use crate::yaml::Value;

/// Who may send spans.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Authorization {
    /// `None` if it is not said, which is a mistake.
    pub(crate) senders: Option<WhoMaySend>,
    /// Of these a sender must have one, unless there are none.
    pub(crate) roles: Vec<String>,
    pub(crate) on_refusal: OnRefusal,
}

/// How a sender is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WhoMaySend {
    Anyone,
    Tokens(Said<PathBuf>),
    Certificate {
        name: CertificateName,
        /// All names, or these.
        only: Option<Vec<String>>,
    },
}

// === impl Authorization ===

impl Authorization {
    pub(super) fn read(
        section: &Mapping<'_>,
        knows_clients: bool,
        problems: &mut Problems,
    ) -> Self {
        let authorize = section.section("authorize", AUTHORIZE, problems);
        let only = authorize.read_list("only", "a name", problems, text);
        let roles = authorize.read_list("roles", "a role", problems, text);
        let only = only.into_iter().map(|said| said.value).collect();
        let only = authorize.get("only").is_some().then_some(only);
        let senders = senders(&authorize, only, knows_clients, problems);
        if authorize.get("roles").is_some() {
            match senders {
                Some(WhoMaySend::Anyone) => authorize.wrong(
                    problems,
                    "has `roles`, of which `anonymous` has none: expected one or the other",
                ),
                _ if roles.is_empty() => authorize.wrong(
                    problems,
                    "has `roles` that let nobody in: expected at least one",
                ),
                _ => {}
            }
        }
        Self {
            senders,
            roles: roles.into_iter().map(|said| said.value).collect(),
            on_refusal: authorize.or("on_refusal", REFUSALS, problems, on_refusal, || {
                OnRefusal::Reject
            }),
        }
    }
}

/// The one way that is said.
fn senders(
    authorize: &Mapping<'_>,
    only: Option<Vec<String>>,
    knows_clients: bool,
    problems: &mut Problems,
) -> Option<WhoMaySend> {
    let anonymous = authorize.read("anonymous", YES_OR_NO, problems, units::boolean);
    let tokens = authorize.read("token_file", "the path of a file", problems, file);
    let name = authorize.read("certificate", NAMES, problems, certificate_name);
    // What could not be read is a mistake already, and not the mistake that nothing was said.
    let said = |key| authorize.get(key).is_some();
    let is_anonymous = said("anonymous") && !matches!(&anonymous, Some(said) if !said.value);
    let ways = usize::from(is_anonymous)
        + usize::from(said("token_file"))
        + usize::from(said("certificate"));
    if ways != 1 {
        let how_many = if ways == 0 {
            "nobody"
        } else {
            "more than one way"
        };
        authorize.wrong(
            problems,
            format_args!(
                "names {how_many}: expected one of `token_file`, `certificate` and `anonymous: yes`"
            ),
        );
        return None;
    }
    if only.is_some() && !said("certificate") {
        authorize.wrong(
            problems,
            "has `only`, which is for names in a `certificate`: expected both or none",
        );
    }
    if let Some(name) = &name
        && !knows_clients
    {
        problems.with(
            name,
            "has no effect without `tls.client_ca_files`: expected the authorities of those certificates",
        );
    }
    let tokens = tokens.map(WhoMaySend::Tokens);
    let certificate = name.map(|name| WhoMaySend::Certificate {
        name: name.value,
        only,
    });
    let anyone = anonymous.filter(|said| said.value);
    tokens
        .or(certificate)
        .or(anyone.map(|_| WhoMaySend::Anyone))
}

fn certificate_name(value: &Value) -> Option<CertificateName> {
    match value.as_text()? {
        "common_name" => Some(CertificateName::CommonName),
        "uri" => Some(CertificateName::Uri),
        "dns" => Some(CertificateName::Dns),
        "email" => Some(CertificateName::Email),
        _ => None,
    }
}

fn on_refusal(value: &Value) -> Option<OnRefusal> {
    match value.as_text()? {
        "reject" => Some(OnRefusal::Reject),
        "discard" => Some(OnRefusal::Discard),
        _ => None,
    }
}

pub(super) const AUTHORIZE: &[&str] = &[
    "token_file",
    "certificate",
    "only",
    "anonymous",
    "roles",
    "on_refusal",
];

const NAMES: &str = "common_name, uri, dns or email";
const REFUSALS: &str = "reject or discard";
