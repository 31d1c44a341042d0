use opentelemetry::{Array, KeyValue, StringValue, Value};
use towline_span::redact::{self, QueryKeys};
use towline_span::truncate;

use crate::attributes::DEFAULT_VALUE_LIMIT_BYTES;

/// How values are recorded: up to which length, and without which secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redaction {
    /// The query keys whose values are replaced, wherever a URL stands.
    pub query_keys: QueryKeys,
    /// How many bytes of a value are kept. Default: [`DEFAULT_VALUE_LIMIT_BYTES`].
    pub value_limit_bytes: usize,
    /// Whether captured credentials are recorded as they are. Default: false.
    pub credentials_unredacted: bool,
}

// === impl Redaction ===

impl Redaction {
    /// The value of a header, cut at the limit, without secrets in its URLs. Bytes that are no UTF-8
    /// are replaced.
    #[must_use]
    pub fn header_value(&self, value: &[u8]) -> String {
        let seen = self
            .value_limit_bytes
            .saturating_add(redact::LOOKAHEAD_BYTES);
        let value = String::from_utf8_lossy(value.get(..seen).unwrap_or(value));
        redact::bounded(&value, &self.query_keys, self.value_limit_bytes)
    }

    /// An attribute of a user's own, cut at the limit.
    pub(crate) fn cut(&self, mut attribute: KeyValue) -> KeyValue {
        let limit = self.value_limit_bytes;
        let cut = |text: &mut StringValue| {
            if text.as_str().len() > limit {
                *text = truncate(text.as_str(), limit).to_owned().into();
            }
        };
        match &mut attribute.value {
            Value::String(text) => cut(text),
            Value::Array(Array::String(texts)) => texts.iter_mut().for_each(cut),
            _ => {}
        }
        attribute
    }
}

impl Default for Redaction {
    fn default() -> Self {
        Self {
            query_keys: QueryKeys::default(),
            value_limit_bytes: DEFAULT_VALUE_LIMIT_BYTES,
            credentials_unredacted: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_value_is_cut_after_its_secrets_are_replaced() {
        let mut redaction = Redaction::default();
        for limit in 0..40 {
            redaction.value_limit_bytes = limit;
            let value = redaction.header_value(b"http://me:s3cr3t@host/?sig=s3cr3t");
            assert!(
                value.len() <= limit && !value.contains("s3c"),
                "{limit}: {value}"
            );
        }
    }

    #[test]
    fn strings_are_cut_wherever_an_attribute_has_them() {
        let redaction = Redaction {
            value_limit_bytes: 2,
            ..Redaction::default()
        };
        let cut = |value: Value| redaction.cut(KeyValue::new("key", value)).value;
        let array = |texts: [&'static str; 2]| {
            Value::Array(Array::String(texts.map(StringValue::from).to_vec()))
        };
        assert_eq!(cut("aéb".into()), "a".into());
        assert_eq!(cut(array(["abc", "d"])), array(["ab", "d"]));
        assert_eq!(cut(12_345.into()), 12_345.into());
    }
}
