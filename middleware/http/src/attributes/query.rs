use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A query with the values of these keys replaced by `REDACTED`, the keys kept.
///
/// A key is compared as a server would read it, percent-decoded and case-sensitive.
pub(crate) fn redacted<'a>(query: &'a str, keys: &[Cow<'static, str>]) -> Cow<'a, str> {
    if !query.split('&').any(|pair| secret(pair, keys).is_some()) {
        return Cow::Borrowed(query);
    }
    let mut clean = String::with_capacity(query.len() + REDACTED.len());
    for (n, pair) in query.split('&').enumerate() {
        if n > 0 {
            clean.push('&');
        }
        match secret(pair, keys) {
            Some(key) => {
                clean.push_str(key);
                clean.push('=');
                clean.push_str(REDACTED);
            }
            None => clean.push_str(pair),
        }
    }
    Cow::Owned(clean)
}

/// The key of a pair, as it stands there, if its value is not for others to see.
fn secret<'a>(pair: &'a str, keys: &[Cow<'static, str>]) -> Option<&'a str> {
    let (key, _value) = pair.split_once('=')?;
    let decoded = if key.contains('%') {
        percent_decode_str(key).decode_utf8().unwrap_or_default()
    } else {
        Cow::Borrowed(key)
    };
    keys.contains(&decoded).then_some(key)
}

pub(crate) const REDACTED: &str = "REDACTED";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::DEFAULT_REDACTED_QUERY_KEYS;

    #[track_caller]
    fn assert_redacted(query: &str, expected: &str) {
        let keys: Vec<_> = DEFAULT_REDACTED_QUERY_KEYS
            .iter()
            .map(|key| Cow::Borrowed(*key))
            .collect();
        assert_eq!(redacted(query, &keys), expected);
    }

    #[test]
    fn a_query_without_secrets_is_as_it_was() {
        for query in ["", "q=abc", "a&b&&c==", "sig", "SIG=1", "xsig=1"] {
            assert_redacted(query, query);
        }
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        assert_redacted("sig=1", "sig=REDACTED");
        assert_redacted("a=1&sig=a=b&c", "a=1&sig=REDACTED&c");
        assert_redacted("sig=1&sig=2", "sig=REDACTED&sig=REDACTED");
        assert_redacted("s%69g=1", "s%69g=REDACTED");
        assert_redacted(
            "X-Amz-Signature=x&AWSAccessKeyId=y",
            "X-Amz-Signature=REDACTED&AWSAccessKeyId=REDACTED",
        );
        assert_redacted("sig=", "sig=REDACTED");
        assert_redacted("&sig=1&", "&sig=REDACTED&");
    }
}
