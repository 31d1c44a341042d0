//! What should arrive of spans that went through a forwarder.
//!
//! Written from what `towline_forwarder::stamp` promises, on decoded spans, which its code never
//! sees.

use crate::span::{Attribute, Span, Value, sort};

/// The attribute that says who has sent a span.
pub const FORWARDED_FOR: &str = "teleport.forwarded.for";

/// The spans without what their client has written in that attribute's place, and with the
/// attribute, on the resource and on the span.
#[must_use]
pub fn stamped(spans: &[Span], who: &str) -> Vec<Span> {
    let stamp = || Attribute::new(FORWARDED_FOR, Value::String(who.to_owned()));
    let mut spans = spans.to_vec();
    for span in &mut spans {
        clean(&mut span.attributes, "");
        clean(&mut span.resource.attributes, "");
        clean(&mut span.scope.attributes, "");
        for event in &mut span.events {
            clean(&mut event.attributes, "");
        }
        for link in &mut span.links {
            clean(&mut link.attributes, "");
        }
        span.attributes.push(stamp());
        span.resource.attributes.push(stamp());
        sort(&mut span.resource.attributes);
    }
    spans
}

/// Removes what is called so: by its key, or by the keys on the way to it, joined with dots.
fn clean(attributes: &mut Vec<Attribute>, path: &str) {
    attributes.retain_mut(|attribute| {
        let path = match path {
            "" => attribute.key.clone(),
            path => format!("{path}.{}", attribute.key),
        };
        clean_value(&mut attribute.value, &path);
        attribute.key != FORWARDED_FOR && path != FORWARDED_FOR
    });
}

fn clean_value(value: &mut Value, path: &str) {
    match value {
        Value::Map(attributes) => clean(attributes, path),
        // The place in a list is no key.
        Value::Array(items) => {
            for item in items {
                clean_value(item, path);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forged_is_gone_wherever_it_was() {
        let text = |key: &str| Attribute::new(key, Value::String("root".to_owned()));
        let map = |key: &str, of: Vec<Attribute>| Attribute::new(key, Value::Map(of));
        let span = Span {
            attributes: vec![
                text(FORWARDED_FOR),
                map("teleport", vec![text("forwarded.for"), text("kept")]),
                map("other", vec![text("forwarded.for"), text(FORWARDED_FOR)]),
            ],
            ..Span::default()
        };
        let [span] = &stamped(&[span], "alice")[..] else {
            panic!("one span");
        };
        let alice = Attribute::new(FORWARDED_FOR, Value::String("alice".to_owned()));
        assert_eq!(
            span.attributes,
            [
                map("teleport", vec![text("kept")]),
                map("other", vec![text("forwarded.for")]),
                alice.clone(),
            ]
        );
        assert_eq!(span.resource.attributes, [alice]);
    }
}
