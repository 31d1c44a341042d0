//! The stamp on decoded structures: what a forwarder does that decodes.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use towline_forwarder::Place;

use crate::check::string;

pub(crate) fn edit(
    request: &mut ExportTraceServiceRequest,
    key: &str,
    identity: &str,
    place: Place,
) {
    let ours = string(key, identity);
    for resource_spans in &mut request.resource_spans {
        if let Some(resource) = &mut resource_spans.resource {
            clean(&mut resource.attributes, key, Some(key));
        }
        if place != Place::Spans {
            let resource = resource_spans.resource.get_or_insert_default();
            resource.attributes.push(ours.clone());
        }
        for scope_spans in &mut resource_spans.scope_spans {
            if let Some(scope) = &mut scope_spans.scope {
                clean(&mut scope.attributes, key, Some(key));
            }
            for span in &mut scope_spans.spans {
                clean(&mut span.attributes, key, Some(key));
                for event in &mut span.events {
                    clean(&mut event.attributes, key, Some(key));
                }
                for link in &mut span.links {
                    clean(&mut link.attributes, key, Some(key));
                }
                if place != Place::Resource {
                    span.attributes.push(ours.clone());
                }
            }
        }
    }
}

fn clean(attributes: &mut Vec<KeyValue>, key: &str, path: Option<&str>) {
    attributes.retain(|attribute| attribute.key != key && Some(&*attribute.key) != path);
    for attribute in attributes {
        let path = path
            .and_then(|path| path.strip_prefix(&attribute.key))
            .and_then(|path| path.strip_prefix('.'));
        if let Some(value) = &mut attribute.value {
            clean_value(value, key, path);
        }
    }
}

fn clean_value(value: &mut AnyValue, key: &str, path: Option<&str>) {
    match &mut value.value {
        Some(Value::KvlistValue(list)) => clean(&mut list.values, key, path),
        Some(Value::ArrayValue(array)) => {
            for value in &mut array.values {
                clean_value(value, key, path);
            }
        }
        _ => {}
    }
}
