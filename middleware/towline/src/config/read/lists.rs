use http::HeaderName;
use towline_http::CallerContext;
use towline_propagation::PropagatorKind;
use towline_sampler::Limit;

use super::Entry;
use crate::StartErrorKind;
use crate::config::node::Value;
use crate::config::problem::{Problem, Problems};
use crate::config::said::Said;

/// The formats of trace context.
pub(crate) fn propagators(
    entry: Entry,
    problems: &mut Problems,
) -> Option<Said<Vec<PropagatorKind>>> {
    let expected = "a list of propagators, such as [tracecontext, baggage]";
    list(entry, problems, expected, |text| {
        text.parse().map_err(|error| format!(": {error}"))
    })
}

/// What a caller's context is.
pub(crate) fn trust(entry: Entry, problems: &mut Problems) -> Option<Said<CallerContext>> {
    entry.parsed(problems, "parent, link or ignore", |text| match text {
        "parent" => Some(CallerContext::Parent),
        "link" => Some(CallerContext::Link),
        "ignore" => Some(CallerContext::Ignore),
        _ => None,
    })
}

/// A number a second, and as many at once.
pub(crate) fn limit(entry: Entry, problems: &mut Problems) -> Option<Said<Limit>> {
    let count = match &entry.node.value {
        Value::Integer(count) => u32::try_from(*count).ok(),
        _ => None,
    };
    if count.is_none() {
        let expected = format!("a whole number from 0 to {}", u32::MAX);
        entry.is_wrong(problems, &expected);
    }
    count.map(|count| entry.said(Limit::per_second(count)))
}

/// Paths, each alone or with all below it.
pub(crate) fn paths(entry: Entry, problems: &mut Problems) -> Option<Said<Vec<String>>> {
    let expected = "a list of paths, such as [/healthz, /internal/*]";
    list(entry, problems, expected, |text| {
        let path = text.strip_suffix("/*").unwrap_or(text);
        let is_path = text.starts_with('/') && !path.contains(['*', '?', '#']);
        match is_path {
            true => Ok(text.to_owned()),
            false => Err(format!(
                " is {text:?}: expected a path that begins with /, and no * but in a /* at its end"
            )),
        }
    })
}

/// Names of headers.
pub(crate) fn header_names(entry: Entry, problems: &mut Problems) -> Option<Said<Vec<HeaderName>>> {
    let expected = "a list of header names, such as [x-request-id]";
    list(entry, problems, expected, |text| {
        HeaderName::try_from(text).map_err(|_| format!(" is {text:?}: expected a header name"))
    })
}

/// The name of a header.
pub(crate) fn header_name(entry: Entry, problems: &mut Problems) -> Option<Said<HeaderName>> {
    entry.parsed(problems, "a header name, such as x-trace-id", |text| {
        HeaderName::try_from(text).ok()
    })
}

/// Keys of a query.
pub(crate) fn query_keys(entry: Entry, problems: &mut Problems) -> Option<Said<Vec<String>>> {
    let expected = "a list of texts, such as [token]";
    list(entry, problems, expected, |text| match text.is_empty() {
        false => Ok(text.to_owned()),
        true => Err(" is empty: expected the key of a query".to_owned()),
    })
}

/// A list of texts, of each of which `read` makes something, or says what is wrong with it.
fn list<T>(
    entry: Entry,
    problems: &mut Problems,
    expected: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Said<Vec<T>>> {
    let Value::List(items) = &entry.node.value else {
        entry.is_wrong(problems, expected);
        return None;
    };
    let (mut values, mut is_whole) = (Vec::new(), true);
    for (index, node) in items.iter().enumerate() {
        let rest = match node.as_text().map(&read) {
            Some(Ok(value)) => {
                values.push(value);
                continue;
            }
            Some(Err(rest)) => rest,
            None => format!(" is {}: expected a text", node.value),
        };
        let origin = entry.origin.part(&format!("[{index}]"), node.position);
        problems.push(Problem::of(StartErrorKind::Config, &origin, rest));
        is_whole = false;
    }
    is_whole.then(|| entry.said(values))
}
