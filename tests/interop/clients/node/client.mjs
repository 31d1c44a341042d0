// Records spans with OpenTelemetry JavaScript, sends them as JSON with its exporter, and prints what it recorded.
//
//     client.mjs URL TIMEOUT_MILLISECONDS BYTES [TOKEN]
//
// BYTES is the length of an attribute that makes one span large; 0 for none. The last line of the output is JSON:
// `spans`, in the form of `src/span.rs`; `exports`, whether each of the exporter's batches was taken; `log`, what the
// exporter said.

import { Buffer } from "node:buffer";

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, diag, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { CompressionAlgorithm } from "@opentelemetry/otlp-exporter-base";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const FORGED = { "teleport.forwarded.for": "root" };
const TEXT = 'Größe 大きさ \u{1f517} "quoted"\n\ttabbed\\ \u0000\u001b';
const LIMIT = 16;

function record(provider, large) {
  const tracer = provider.getTracer("interop.node", "1.2.3", { schemaUrl: "https://example.com/1.0" });
  const other = provider.getTracer("interop.other");

  for (const kind of [
    SpanKind.INTERNAL,
    SpanKind.SERVER,
    SpanKind.CLIENT,
    SpanKind.PRODUCER,
    SpanKind.CONSUMER,
  ]) {
    tracer.startSpan(`kind ${SpanKind[kind]}`, { kind }).end();
  }
  for (const code of [SpanStatusCode.UNSET, SpanStatusCode.OK, SpanStatusCode.ERROR]) {
    const span = other.startSpan(`status ${SpanStatusCode[code]}`);
    span.setStatus(code === SpanStatusCode.ERROR ? { code, message: TEXT } : { code });
    span.end();
  }

  // With parents here and far away, each with a state of its own.
  const far = trace.setSpanContext(ROOT_CONTEXT, context(1, 2, true, "vendor=a,other=b"));
  const parent = tracer.startSpan("child of a remote parent", { kind: SpanKind.SERVER }, far);
  other.startSpan(TEXT, {}, trace.setSpan(ROOT_CONTEXT, parent)).end();
  parent.end();

  const attributes = {
    text: TEXT,
    empty: "",
    yes: true,
    no: false,
    ints: [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
    doubles: [0.5, -1.25e-300, 5e-324, 0.1],
    texts: ["", null, TEXT],
    nothing: [],
    ...FORGED,
  };
  tracer.startSpan("attributes", { attributes }).end();

  const span = tracer.startSpan("events and links", {
    links: [
      { context: context(3, 4, true, "vendor=c"), attributes: { why: TEXT, ...FORGED } },
      { context: context(5, 6, false) },
    ],
  });
  span.addEvent("event", { number: 1, ...FORGED }, [1_700_000_000, 123_456_789]);
  span.addEvent("");
  span.recordException(new TypeError(TEXT));
  span.end();

  // More than the limits.
  const links = Array.from({ length: LIMIT + 2 }, (_, number) => ({ context: context(7, 8 + number, false) }));
  const many = tracer.startSpan("more than the limits", { links });
  for (let number = 0; number < LIMIT + 3; number++) {
    many.setAttribute(`attribute ${number}`, number);
    many.addEvent(`event ${number}`);
  }
  many.end();

  if (large) {
    other.startSpan("large", { attributes: { large: "x".repeat(large) } }).end();
  }
}

function context(traceId, spanId, isRemote, traceState) {
  return {
    traceId: traceId.toString(16).padStart(32, "0"),
    spanId: spanId.toString(16).padStart(16, "0"),
    isRemote,
    traceFlags: TraceFlags.SAMPLED,
    traceState: traceState ? createTraceState(traceState) : undefined,
  };
}

// What was recorded, in the form that is compared. Nothing here goes through the exporter's encoder.

function asSpan(span) {
  const own = span.spanContext();
  const scope = span.instrumentationScope;
  return {
    trace_id: own.traceId,
    span_id: own.spanId,
    parent_span_id: span.parentSpanContext?.spanId ?? "",
    trace_state: own.traceState?.serialize() ?? "",
    flags: asFlags(own, span.parentSpanContext),
    name: span.name,
    // The API counts from the second one.
    kind: span.kind + 1,
    start_time: nanoseconds(span.startTime),
    end_time: nanoseconds(span.endTime),
    attributes: asAttributes(span.attributes),
    dropped_attributes: span.droppedAttributesCount,
    events: span.events.map((event) => ({
      time: nanoseconds(event.time),
      name: event.name,
      attributes: asAttributes(event.attributes),
      dropped_attributes: event.droppedAttributesCount ?? 0,
    })),
    dropped_events: span.droppedEventsCount,
    links: span.links.map((link) => ({
      trace_id: link.context.traceId,
      span_id: link.context.spanId,
      trace_state: link.context.traceState?.serialize() ?? "",
      flags: asFlags(link.context, link.context),
      attributes: asAttributes(link.attributes),
      dropped_attributes: link.droppedAttributesCount ?? 0,
    })),
    dropped_links: span.droppedLinksCount,
    status_code: span.status.code,
    status_message: span.status.message ?? "",
    resource: {
      attributes: asAttributes(span.resource.attributes),
      dropped_attributes: 0,
      schema_url: span.resource.schemaUrl ?? "",
    },
    scope: {
      name: scope.name,
      version: scope.version ?? "",
      attributes: [],
      dropped_attributes: 0,
      schema_url: scope.schemaUrl ?? "",
    },
  };
}

function asFlags(own, of) {
  return (own.traceFlags & 0xff) | 0x100 | (of?.isRemote ? 0x200 : 0);
}

// Larger than a number of JSON may be: written as one below.
function nanoseconds([seconds, rest]) {
  return `#${BigInt(seconds) * 1_000_000_000n + BigInt(rest)}#`;
}

function asAttributes(attributes) {
  return Object.entries(attributes ?? {}).map(([key, value]) => ({ key, value: asValue(value) }));
}

function asValue(value) {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return { array: value.map(asValue) };
  switch (typeof value) {
    case "boolean":
      return { bool: value };
    case "string":
      return { string: value };
    case "number": {
      if (Number.isInteger(value)) return { int: value };
      const bits = Buffer.alloc(8);
      bits.writeDoubleBE(value);
      return { double: bits.toString("hex") };
    }
  }
  throw new TypeError(`a new kind of value: ${value}`);
}

// An exporter, and what becomes of what it is given.
class Watched {
  spans = [];
  exports = [];

  constructor(exporter) {
    this.exporter = exporter;
  }

  export(spans, done) {
    this.spans.push(...spans.map(asSpan));
    this.exporter.export(spans, (result) => {
      this.exports.push(result.code === 0);
      done(result);
    });
  }

  shutdown() {
    return this.exporter.shutdown();
  }
}

const log = [];
const logger = Object.fromEntries(
  ["error", "warn", "info", "debug", "verbose"].map((level) => [
    level,
    (...words) => log.push(`${level.toUpperCase()}: ${words.join(" ")}`),
  ]),
);
diag.setLogger(logger);
const [url, timeoutMillis, large, token] = process.argv.slice(2);
const watched = new Watched(
  new OTLPTraceExporter({
    url: `${url}/v1/traces`,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    timeoutMillis: Number(timeoutMillis),
    compression: CompressionAlgorithm.GZIP,
  }),
);
const provider = new TracerProvider({
  resource: resourceFromAttributes(
    { "service.name": `node ${TEXT}`, port: 8080, ...FORGED },
    { schemaUrl: "https://example.com/resource" },
  ),
  spanLimits: { attributeCountLimit: LIMIT, eventCountLimit: LIMIT, linkCountLimit: LIMIT },
  spanProcessors: [new BatchSpanProcessor({ exporter: watched })],
});
record(provider, Number(large));
// It says, too, when spans were not taken.
await provider.shutdown().catch((error) => log.push(`SHUTDOWN: ${error}`));
const report = JSON.stringify({ spans: watched.spans, exports: watched.exports, log });
console.log(report.replace(/"#(\d+)#"/g, "$1"));
