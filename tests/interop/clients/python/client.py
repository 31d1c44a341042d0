"""Records spans with OpenTelemetry Python, sends them with its exporter, and prints what it recorded.

    client.py PROTOCOL URL TIMEOUT_SECONDS BYTES [TOKEN]

PROTOCOL is `grpc` or `http`. BYTES is the length of an attribute that makes one span large; 0 for none. The last line of
the output is JSON: `spans`, in the form of `src/span.rs`; `exports`, whether each of the exporter's batches was taken;
`log`, what the exporter said.
"""

import base64
import json
import logging
import math
import struct
import sys
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

FORGED = {"teleport.forwarded.for": "root"}
TEXT = "Größe 大きさ \U0001f517 \"quoted\"\n\ttabbed\\ \u0000\u001b"


def record(provider, large):
    tracer = provider.get_tracer(
        "interop.python", "1.2.3", "https://example.com/1.0", {"tier": 1, **FORGED}
    )
    other = provider.get_tracer("interop.other")

    for kind in SpanKind:
        tracer.start_span(f"kind {kind.name}", kind=kind).end()
    for code in StatusCode:
        text = TEXT if code is StatusCode.ERROR else None
        span = other.start_span(f"status {code.name}")
        span.set_status(Status(code, text))
        span.end()

    # With parents here and far away, each with a state of its own.
    far = context(1, 2, True, [("vendor", "a"), ("other", "b")])
    with trace.use_span(NonRecordingSpan(far)):
        with tracer.start_as_current_span("child of a remote parent", kind=SpanKind.SERVER):
            other.start_span(TEXT).end()

    attributes = {
        "text": TEXT,
        "empty": "",
        "yes": True,
        "no": False,
        "ints": [0, -1, 2**63 - 1, -(2**63)],
        "doubles": [0.0, -0.0, 1e308, 5e-324, math.inf, -math.inf, math.nan],
        "texts": ["", TEXT],
        "nothing": [],
        "bytes": b"\x00\xff",
        "mixed": [1, "two", None, {"three": [3.0]}],
        # Backends that flatten read the same key here.
        "teleport": {"forwarded.for": "root", "kept": 1, "forwarded": {"for": "root", "by": 2}},
        **FORGED,
    }
    tracer.start_span("attributes", attributes=attributes).end()

    span = tracer.start_span(
        "events and links",
        links=[
            Link(context(3, 4, True, [("vendor", "c")]), {"why": TEXT, **FORGED}),
            Link(context(5, 6, False, [])),
        ],
    )
    span.add_event("event", {"number": 1, **FORGED}, timestamp=1_700_000_000_123_456_789)
    span.add_event("")
    try:
        raise ValueError(TEXT)
    except ValueError as error:
        span.record_exception(error)
    span.end()

    # More than the limits.
    links = [Link(context(7, 8 + number, False, [])) for number in range(LIMIT + 2)]
    span = tracer.start_span("more than the limits", links=links)
    for number in range(LIMIT + 3):
        span.set_attribute(f"attribute {number:03}", number)
        span.add_event(f"event {number}")
    span.end()

    if large:
        other.start_span("large", attributes={"large": "x" * large}).end()


def context(trace_id, span_id, remote, state):
    return SpanContext(trace_id, span_id, remote, TraceFlags(TraceFlags.SAMPLED), TraceState(state))


# What was recorded, in the form that is compared. Nothing here goes through the exporter's encoder.


def as_span(span):
    own = span.get_span_context()
    scope = span.instrumentation_scope
    return {
        "trace_id": f"{own.trace_id:032x}",
        "span_id": f"{own.span_id:016x}",
        "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "trace_state": own.trace_state.to_header(),
        # The exporter sends no W3C flags, only whether the parent is remote.
        "flags": remote_flags(span.parent),
        "name": span.name,
        "kind": {
            SpanKind.INTERNAL: 1,
            SpanKind.SERVER: 2,
            SpanKind.CLIENT: 3,
            SpanKind.PRODUCER: 4,
            SpanKind.CONSUMER: 5,
        }[span.kind],
        "start_time": span.start_time,
        "end_time": span.end_time,
        "attributes": as_attributes(span.attributes),
        "dropped_attributes": span.dropped_attributes,
        "events": [
            {
                "time": event.timestamp,
                "name": event.name,
                "attributes": as_attributes(event.attributes),
                "dropped_attributes": event.dropped_attributes,
            }
            for event in span.events
        ],
        "dropped_events": span.dropped_events,
        "links": [
            {
                "trace_id": f"{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                # The exporter sends none, though the API takes one.
                "trace_state": "",
                "flags": remote_flags(link.context),
                "attributes": as_attributes(link.attributes),
                "dropped_attributes": link.dropped_attributes,
            }
            for link in span.links
        ],
        "dropped_links": span.dropped_links,
        "status_code": {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}[span.status.status_code],
        "status_message": span.status.description or "",
        "resource": {
            "attributes": as_attributes(span.resource.attributes),
            "dropped_attributes": 0,
            "schema_url": span.resource.schema_url,
        },
        "scope": {
            "name": scope.name,
            "version": scope.version or "",
            "attributes": as_attributes(scope.attributes),
            "dropped_attributes": 0,
            "schema_url": scope.schema_url or "",
        },
    }


def remote_flags(of):
    return 0x100 | (0x200 if of and of.is_remote else 0)


def as_attributes(attributes):
    return [{"key": key, "value": as_value(value)} for key, value in (attributes or {}).items()]


def as_value(value):
    if value is None:
        return "none"
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": value}
    if isinstance(value, float):
        return {"double": "NaN" if math.isnan(value) else struct.pack(">d", value).hex()}
    if isinstance(value, str):
        return {"string": value}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Sequence):
        return {"array": [as_value(item) for item in value]}
    if isinstance(value, Mapping):
        return {"map": as_attributes(value)}
    raise TypeError(f"a new kind of value: {value!r}")


class Watched(SpanExporter):
    """An exporter, and what becomes of what it is given."""

    def __init__(self, exporter):
        self.exporter, self.spans, self.exports = exporter, [], []

    def export(self, spans):
        self.spans.extend(as_span(span) for span in spans)
        result = self.exporter.export(spans)
        self.exports.append(result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self):
        self.exporter.shutdown()


class Log(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname}: {record.getMessage()}")


def exporter(protocol, url, timeout, token):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if protocol == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(
            endpoint=url, insecure=True, headers=tuple(headers.items()), timeout=timeout, compression=Compression.Gzip
        )
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(
        endpoint=f"{url}/v1/traces", headers=headers, timeout=timeout, compression=Compression.Gzip
    )


def main():
    protocol, url, timeout, large, *token = sys.argv[1:]
    log = Log()
    logging.getLogger().addHandler(log)
    watched = Watched(exporter(protocol, url, float(timeout), token[0] if token else None))
    resource = Resource.create({"service.name": f"python {TEXT}", "port": 8080, **FORGED}, "https://example.com/resource")
    limits = SpanLimits(max_span_attributes=LIMIT, max_events=LIMIT, max_links=LIMIT)
    provider = TracerProvider(resource=resource, span_limits=limits)
    provider.add_span_processor(BatchSpanProcessor(watched))
    record(provider, int(large))
    provider.shutdown()
    print(json.dumps({"spans": watched.spans, "exports": watched.exports, "log": log.lines}))


LIMIT = 16

if __name__ == "__main__":
    main()
