//! The messages of an OTLP trace request, by the names that their fields have in JSON.
//!
//! From [opentelemetry-proto 1.10.0].
//!
//! [opentelemetry-proto 1.10.0]: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.10.0/opentelemetry/proto

/// A message: its fields, and the name of it for an error.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) form: Form,
    /// Absent and the default are told apart: in a `oneof`.
    pub(super) explicit: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Message(&'static Schema),
    /// Messages, in a list.
    Messages(&'static Schema),
    Text,
    /// Texts, in a list.
    Texts,
    /// Bytes in base64.
    Base64,
    /// Bytes in hexadecimal.
    Id,
    Bool,
    Int64,
    Uint32,
    Fixed32,
    Fixed64,
    Double,
    /// A number, or one of these names, whose place is their number.
    Enum(&'static [&'static str]),
}

// === impl Schema ===

impl Schema {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn field(name: &'static str, number: u32, form: Form) -> Field {
    Field {
        name,
        number,
        form,
        explicit: false,
    }
}

const fn one_of(name: &'static str, number: u32, form: Form) -> Field {
    Field {
        explicit: true,
        ..field(name, number, form)
    }
}

pub(super) static REQUEST: Schema = Schema {
    name: "request",
    fields: &[field("resourceSpans", 1, Form::Messages(&RESOURCE_SPANS))],
};

static RESOURCE_SPANS: Schema = Schema {
    name: "resourceSpans",
    fields: &[
        field("resource", 1, Form::Message(&RESOURCE)),
        field("scopeSpans", 2, Form::Messages(&SCOPE_SPANS)),
        field("schemaUrl", 3, Form::Text),
    ],
};

static RESOURCE: Schema = Schema {
    name: "resource",
    fields: &[
        field("attributes", 1, Form::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 2, Form::Uint32),
        field("entityRefs", 3, Form::Messages(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Schema = Schema {
    name: "entityRefs",
    fields: &[
        field("schemaUrl", 1, Form::Text),
        field("type", 2, Form::Text),
        field("idKeys", 3, Form::Texts),
        field("descriptionKeys", 4, Form::Texts),
    ],
};

static SCOPE_SPANS: Schema = Schema {
    name: "scopeSpans",
    fields: &[
        field("spans", 2, Form::Messages(&SPAN)),
        field("scope", 1, Form::Message(&SCOPE)),
        field("schemaUrl", 3, Form::Text),
    ],
};

static SCOPE: Schema = Schema {
    name: "scope",
    fields: &[
        field("name", 1, Form::Text),
        field("version", 2, Form::Text),
        field("attributes", 3, Form::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 4, Form::Uint32),
    ],
};

static SPAN: Schema = Schema {
    name: "span",
    fields: &[
        field("traceId", 1, Form::Id),
        field("spanId", 2, Form::Id),
        field("traceState", 3, Form::Text),
        field("parentSpanId", 4, Form::Id),
        field("name", 5, Form::Text),
        field("kind", 6, Form::Enum(&SPAN_KIND)),
        field("startTimeUnixNano", 7, Form::Fixed64),
        field("endTimeUnixNano", 8, Form::Fixed64),
        field("attributes", 9, Form::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 10, Form::Uint32),
        field("events", 11, Form::Messages(&EVENT)),
        field("droppedEventsCount", 12, Form::Uint32),
        field("links", 13, Form::Messages(&LINK)),
        field("droppedLinksCount", 14, Form::Uint32),
        field("status", 15, Form::Message(&STATUS)),
        field("flags", 16, Form::Fixed32),
    ],
};

static SPAN_KIND: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

static EVENT: Schema = Schema {
    name: "event",
    fields: &[
        field("timeUnixNano", 1, Form::Fixed64),
        field("name", 2, Form::Text),
        field("attributes", 3, Form::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 4, Form::Uint32),
    ],
};

static LINK: Schema = Schema {
    name: "link",
    fields: &[
        field("traceId", 1, Form::Id),
        field("spanId", 2, Form::Id),
        field("traceState", 3, Form::Text),
        field("attributes", 4, Form::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 5, Form::Uint32),
        field("flags", 6, Form::Fixed32),
    ],
};

static STATUS: Schema = Schema {
    name: "status",
    fields: &[
        field("message", 2, Form::Text),
        field("code", 3, Form::Enum(&STATUS_CODE)),
    ],
};

static STATUS_CODE: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

static KEY_VALUE: Schema = Schema {
    name: "attribute",
    fields: &[
        field("key", 1, Form::Text),
        field("value", 2, Form::Message(&ANY_VALUE)),
    ],
};

pub(super) static ANY_VALUE: Schema = Schema {
    name: "value",
    fields: &[
        one_of("stringValue", 1, Form::Text),
        one_of("boolValue", 2, Form::Bool),
        one_of("intValue", 3, Form::Int64),
        one_of("doubleValue", 4, Form::Double),
        one_of("arrayValue", 5, Form::Message(&ARRAY_VALUE)),
        one_of("kvlistValue", 6, Form::Message(&KEY_VALUE_LIST)),
        one_of("bytesValue", 7, Form::Base64),
    ],
};

static ARRAY_VALUE: Schema = Schema {
    name: "arrayValue",
    fields: &[field("values", 1, Form::Messages(&ANY_VALUE))],
};

static KEY_VALUE_LIST: Schema = Schema {
    name: "kvlistValue",
    fields: &[field("values", 1, Form::Messages(&KEY_VALUE))],
};
