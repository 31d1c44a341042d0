use std::sync::Arc;

use opentelemetry::KeyValue;
use towline_http::RequestHead;
use towline_http::attributes::{SERVER_ADDRESS, SERVER_PORT, authority_of};
use towline_span::{Recording, Repeated};

use crate::address;
use crate::method::Method;
use crate::options::Options;

/// Tells what a call has in common with others of its method on its server, on either side.
pub(crate) fn tell_call<R: Recording + ?Sized>(
    options: &Options,
    method: &Method,
    request: RequestHead<'_>,
    into: &mut R,
) {
    let known = method.is_known();
    let authority = authority_of(request.uri, request.headers);
    let form = [
        known.is_some(),
        known.unwrap_or_default(),
        authority.is_some(),
    ];
    let form = Repeated::form_of(form.map(u8::from));
    let parts = [method.as_str().as_bytes(), authority.unwrap_or_default()];
    into.repeated(Repeated::new(options.teller, form, &parts), &mut |into| {
        into.name(method.span_name(known.unwrap_or(true)));
        let mut set = |attribute| into.attribute(attribute);
        options.conventions.system(&mut set);
        if let Some(known) = known {
            options.conventions.method(method, known, &mut set);
        }
        match &options.server {
            Some((address, port)) => {
                set(KeyValue::new(SERVER_ADDRESS, Arc::clone(address)));
                set(KeyValue::new(SERVER_PORT, i64::from(*port)));
            }
            None => address::tell_server(request, into),
        }
    });
}
