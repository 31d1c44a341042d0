use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use towline_span::redact::REDACTED;
use towline_span::{Recording, truncate};

use super::Redaction;

/// Headers, or metadata, that are recorded because they were listed: nothing by default.
///
/// Each becomes an attribute with an array of its values. What is a credential is masked even if
/// it is listed, see [`is_credential`](Self::is_credential); URLs in the other values lose their
/// secrets. At most [`MAX_CAPTURED_VALUES`] values of one name are recorded and
/// [`MAX_CAPTURED_BYTES`] of all, each value up to the limit of the [`Redaction`].
#[derive(Clone, Debug, Default)]
pub struct Capture(Vec<Listed>);

#[derive(Clone, Debug)]
struct Listed {
    name: HeaderName,
    key: Key,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Credential,
    /// Metadata whose value is no text.
    Binary,
}

/// How many values of one name are recorded, of a head and of trailers each: 32.
pub const MAX_CAPTURED_VALUES: usize = 32;

/// How many bytes of values are recorded, of a head and of trailers each: 16,384.
pub const MAX_CAPTURED_BYTES: usize = 16 << 10;

// === impl Capture ===

impl Capture {
    /// These headers, as attributes named `prefix.name`.
    #[must_use]
    pub fn headers(prefix: &str, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self::new(prefix, names, false)
    }

    /// This gRPC metadata, as attributes named `prefix.name`. Of names that end with `-bin`, whose
    /// values are not text, it is only recorded that they were there: as `BINARY`.
    #[must_use]
    pub fn metadata(prefix: &str, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self::new(prefix, names, true)
    }

    fn new(prefix: &str, names: impl IntoIterator<Item = HeaderName>, metadata: bool) -> Self {
        let mut listed: Vec<Listed> = Vec::new();
        for name in names {
            // An attribute that is set twice is exported twice.
            if listed.iter().any(|known| known.name == name) {
                continue;
            }
            // Counted, not copied, by every span.
            let key: std::sync::Arc<str> = format!("{prefix}.{}", name.as_str()).into();
            let kind = if metadata && name.as_str().ends_with("-bin") {
                Kind::Binary
            } else if Self::is_credential(&name) {
                Kind::Credential
            } else {
                Kind::Plain
            };
            let key = Key::from(key);
            listed.push(Listed { name, key, kind });
        }
        Self(listed)
    }

    /// Whether the values of this header are masked: it is known to carry a credential, or a word of
    /// its name, between dashes and underscores, says so: `token`, `secret`, `password`, `jwt`, …
    ///
    /// A value that is [sensitive](HeaderValue::is_sensitive) is masked whatever its name.
    ///
    /// ```
    /// use http::HeaderName;
    /// use towline_http::extras::Capture;
    ///
    /// assert!(Capture::is_credential(&HeaderName::from_static("authorization")));
    /// assert!(Capture::is_credential(&HeaderName::from_static("x-vault-token")));
    /// assert!(!Capture::is_credential(&HeaderName::from_static("x-tenant")));
    /// ```
    #[must_use]
    pub fn is_credential(name: &HeaderName) -> bool {
        [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(name)
            || CREDENTIALS.contains(&name.as_str())
            || name
                .as_str()
                .split(['-', '_'])
                .any(|word| CREDENTIAL_WORDS.contains(&word))
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells what is listed and there, as [`extend`](Self::extend) adds it.
    pub fn tell<R: Recording + ?Sized>(
        &self,
        headers: &HeaderMap,
        redaction: &Redaction,
        into: &mut R,
    ) {
        if self.is_empty() {
            return;
        }
        let mut attributes = Vec::new();
        self.extend(&mut attributes, headers, redaction);
        for attribute in attributes {
            into.attribute(attribute);
        }
    }

    /// Adds what is listed and there: an attribute for each name, with all its values.
    ///
    /// Where there is one already, as for a name in the trailers that was in the head before, its
    /// values go on.
    pub fn extend(
        &self,
        attributes: &mut Vec<KeyValue>,
        headers: &HeaderMap,
        redaction: &Redaction,
    ) {
        let mut room = MAX_CAPTURED_BYTES;
        for listed in &self.0 {
            let mut values = Vec::new();
            for value in headers
                .get_all(&listed.name)
                .iter()
                .take(MAX_CAPTURED_VALUES)
            {
                let mut value = listed.shown(value, redaction);
                if value.as_str().len() > room {
                    value = truncate(value.as_str(), room).to_owned().into();
                }
                room -= value.as_str().len();
                values.push(value);
                if room == 0 {
                    break;
                }
            }
            if !values.is_empty() {
                listed.add(attributes, values);
            }
            if room == 0 {
                return;
            }
        }
    }
}

// === impl Listed ===

impl Listed {
    /// A value as it may be shown.
    fn shown(&self, value: &HeaderValue, redaction: &Redaction) -> StringValue {
        match self.kind {
            Kind::Binary => "BINARY".into(),
            kind if (kind == Kind::Credential || value.is_sensitive())
                && !redaction.credentials_unredacted =>
            {
                REDACTED.into()
            }
            Kind::Plain | Kind::Credential => redaction.header_value(value.as_bytes()).into(),
        }
    }

    fn add(&self, attributes: &mut Vec<KeyValue>, values: Vec<StringValue>) {
        let before = attributes.iter_mut().find(|before| before.key == self.key);
        match before.map(|before| &mut before.value) {
            Some(Value::Array(Array::String(before))) => before.extend(values),
            Some(_) => {}
            None => {
                let values = Value::Array(Array::String(values));
                attributes.push(KeyValue::new(self.key.clone(), values));
            }
        }
    }
}

/// Headers with credentials that no word of their name tells.
const CREDENTIALS: &[&str] = &[
    "api-key",
    "authentication-info",
    "cf-access-client-id",
    "cookie2",
    "ocp-apim-subscription-key",
    "proxy-authenticate",
    "proxy-authentication-info",
    "set-cookie2",
    "www-authenticate",
    "x-access-key",
    "x-amz-security-token",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-api-key",
    "x-auth-key",
    "x-functions-key",
    "x-goog-api-key",
    "x-ms-client-principal",
    "x-session-id",
];

/// Words that say of a header that it has a credential.
const CREDENTIAL_WORDS: &[&str] = &[
    "accesstoken",
    "apikey",
    "assertion",
    "auth",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "csrf",
    "csrftoken",
    "jwt",
    "passwd",
    "password",
    "secret",
    "token",
    "xsrf",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DEFAULT_VALUE_LIMIT_BYTES;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn names(names: &[&'static str]) -> Vec<HeaderName> {
        names.iter().copied().map(HeaderName::from_static).collect()
    }

    fn shown(attributes: &[KeyValue]) -> Vec<(&str, String)> {
        attributes
            .iter()
            .map(|attribute| (attribute.key.as_str(), attribute.value.to_string()))
            .collect()
    }

    #[track_caller]
    fn captured(capture: &Capture, headers: &HeaderMap) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        capture.extend(&mut attributes, headers, &Redaction::default());
        attributes
    }

    #[test]
    fn what_is_listed_is_captured_with_all_its_values_and_nothing_else() {
        let capture = Capture::headers("h", names(&["x-tenant", "x-absent", "x-tenant"]));
        let headers = headers(&[("x-tenant", "a"), ("x-other", "b"), ("x-tenant", "c")]);
        let attributes = captured(&capture, &headers);
        assert_eq!(
            shown(&attributes),
            [("h.x-tenant", r#"["a","c"]"#.to_owned())]
        );
    }

    #[test]
    fn a_flood_of_values_is_cut() {
        let capture = Capture::headers("h", names(&["x-flood"]));
        let attributes = captured(&capture, &headers(&[("x-flood", "drop"); 1000]));
        assert_eq!(
            shown(&attributes)[0].1.matches("drop").count(),
            MAX_CAPTURED_VALUES
        );
    }

    #[test]
    fn the_bytes_of_all_values_are_bounded_together() {
        let capture = Capture::headers("h", names(&["x-a", "x-b", "x-c"]));
        let long = "é".repeat(1_000);
        let mut lines = vec![("x-a", &*long); 5];
        lines.extend([("x-b", &*long); 5]);
        lines.push(("x-c", "c"));
        let attributes = captured(&capture, &headers(&lines));
        let bytes = |attribute: &KeyValue| match &attribute.value {
            Value::Array(Array::String(texts)) => texts.iter().map(|t| t.as_str().len()).sum(),
            _ => 0,
        };
        let total: usize = attributes.iter().map(bytes).sum();
        assert_eq!(total, MAX_CAPTURED_BYTES);
        assert_eq!(attributes.len(), 2);
        assert_eq!(bytes(&attributes[0]), 10_000);
    }

    #[test]
    fn trailers_go_on_where_the_head_left_off() {
        let capture = Capture::metadata("m", names(&["x-cost", "x-late"]));
        let mut attributes = vec![KeyValue::new("rpc.method", "a.B/C")];
        let redaction = Redaction::default();
        capture.extend(&mut attributes, &headers(&[("x-cost", "1")]), &redaction);
        let trailers = headers(&[("x-late", "yes"), ("x-cost", "2")]);
        capture.extend(&mut attributes, &trailers, &redaction);
        assert_eq!(
            shown(&attributes)[1..],
            [
                ("m.x-cost", r#"["1","2"]"#.to_owned()),
                ("m.x-late", r#"["yes"]"#.to_owned()),
            ]
        );
    }

    #[test]
    fn credentials_are_known_by_name() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "x-auth-token",
            "x-amz-security-token",
            "x-csrf-token",
            "x-forwarded-access-token",
            "x-goog-iap-jwt-assertion",
            "x-vault-token",
            "private-token",
            "client_secret",
        ] {
            assert!(
                Capture::is_credential(&HeaderName::from_static(name)),
                "{name}"
            );
        }
        for name in [
            "x-tenant",
            "x-request-id",
            "user-agent",
            "x-author",
            "x-tokens-left",
        ] {
            assert!(
                !Capture::is_credential(&HeaderName::from_static(name)),
                "{name}"
            );
        }
    }

    #[test]
    fn credentials_are_masked_value_by_value_unless_a_user_insists() {
        let capture = Capture::headers("h", names(&["set-cookie", "x-tenant"]));
        let mut headers = headers(&[("set-cookie", "a=s3cr3t"), ("set-cookie", "b=s3cr3t")]);
        let mut sensitive = HeaderValue::from_static("s3cr3t");
        sensitive.set_sensitive(true);
        headers.append("x-tenant", HeaderValue::from_static("plain"));
        headers.append("x-tenant", sensitive);
        let attributes = captured(&capture, &headers);
        assert_eq!(
            shown(&attributes),
            [
                ("h.set-cookie", r#"["REDACTED","REDACTED"]"#.to_owned()),
                ("h.x-tenant", r#"["plain","REDACTED"]"#.to_owned()),
            ]
        );

        let redaction = Redaction {
            credentials_unredacted: true,
            ..Redaction::default()
        };
        let mut attributes = Vec::new();
        capture.extend(&mut attributes, &headers, &redaction);
        assert_eq!(
            shown(&attributes),
            [
                ("h.set-cookie", r#"["a=s3cr3t","b=s3cr3t"]"#.to_owned()),
                ("h.x-tenant", r#"["plain","s3cr3t"]"#.to_owned()),
            ]
        );
    }

    #[test]
    fn binary_metadata_is_never_shown() {
        let names = names(&["x-trace-bin", "x-token-bin"]);
        let headers = headers(&[("x-trace-bin", "czNjcjN0"), ("x-token-bin", "czNjcjN0")]);
        for credentials_unredacted in [false, true] {
            let redaction = Redaction {
                credentials_unredacted,
                ..Redaction::default()
            };
            let mut attributes = Vec::new();
            let capture = Capture::metadata("m", names.clone());
            capture.extend(&mut attributes, &headers, &redaction);
            let binary = r#"["BINARY"]"#.to_owned();
            let expected = [("m.x-trace-bin", binary.clone()), ("m.x-token-bin", binary)];
            assert_eq!(shown(&attributes), expected);
        }
        // In HTTP the ending means nothing.
        let attributes = captured(&Capture::headers("h", names), &headers);
        assert_eq!(shown(&attributes)[0].1, r#"["czNjcjN0"]"#);
    }

    #[test]
    fn long_odd_and_telling_values_are_cut_replaced_and_cleaned() {
        let capture = Capture::headers("h", names(&["x-long", "x-odd", "location"]));
        let long = "é".repeat(DEFAULT_VALUE_LIMIT_BYTES);
        let mut headers = headers(&[("location", "/next?sig=s3cr3t"), ("location", "//a:b@c/")]);
        headers.insert("x-long", HeaderValue::from_bytes(long.as_bytes()).unwrap());
        headers.insert("x-odd", HeaderValue::from_bytes(b"\xff").unwrap());
        let attributes = captured(&capture, &headers);
        let shown = shown(&attributes);
        assert_eq!(
            shown[0].1.len(),
            DEFAULT_VALUE_LIMIT_BYTES + r#"[""]"#.len()
        );
        assert_eq!(shown[1].1, "[\"\u{fffd}\"]");
        assert_eq!(
            shown[2].1,
            r#"["/next?sig=REDACTED","//REDACTED:REDACTED@c/"]"#
        );
    }
}
