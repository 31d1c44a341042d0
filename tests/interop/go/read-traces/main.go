// Reads files of spans as receivers of the OpenTelemetry Collector do, and prints what it has read.
//
//	read-traces json|proto FILE ...
//
// Each span becomes one line of JSON, in the form of `span.rs`.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("expected json or proto, and files"))
	}
	messages := map[string]func([]byte) ([]ptrace.Traces, error){"json": jsonLines, "proto": lengthPrefixed}[os.Args[1]]
	if messages == nil {
		fail(fmt.Errorf("%q is not a format: expected json or proto", os.Args[1]))
	}
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for _, path := range os.Args[2:] {
		content, err := os.ReadFile(path)
		if err != nil {
			fail(err)
		}
		all, err := messages(content)
		if err != nil {
			fail(fmt.Errorf("%s: %w", path, err))
		}
		for _, traces := range all {
			for _, span := range spans(traces) {
				if err := lines.Encode(span); err != nil {
					fail(err)
				}
			}
		}
	}
	if err := out.Flush(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

// jsonLines reads one message a line. The unmarshaler passes over fields that it does not know; here they are an
// error.
func jsonLines(content []byte) ([]ptrace.Traces, error) {
	var all []ptrace.Traces
	for number := 1; len(content) > 0; number++ {
		line, rest, whole := bytes.Cut(content, []byte("\n"))
		if !whole {
			return nil, fmt.Errorf("line %d has no end", number)
		}
		traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if err := allKnown(line, traces); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all, content = append(all, traces), rest
	}
	return all, nil
}

// lengthPrefixed reads messages that each follow their length, four bytes with the highest first.
func lengthPrefixed(content []byte) ([]ptrace.Traces, error) {
	var all []ptrace.Traces
	for number := 1; len(content) > 0; number++ {
		if len(content) < 4 {
			return nil, fmt.Errorf("message %d has no length", number)
		}
		length := int(binary.BigEndian.Uint32(content))
		content = content[4:]
		if len(content) < length {
			return nil, fmt.Errorf("message %d has %d of %d bytes", number, len(content), length)
		}
		traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(content[:length])
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", number, err)
		}
		all, content = append(all, traces), content[length:]
	}
	return all, nil
}

// allKnown looks for every field of a line in what the Collector writes of it again.
func allKnown(line []byte, traces ptrace.Traces) error {
	again, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	if err != nil {
		return err
	}
	var ours, theirs any
	if err := json.Unmarshal(line, &ours); err != nil {
		return err
	}
	if err := json.Unmarshal(again, &theirs); err != nil {
		return err
	}
	return contains(theirs, ours, "")
}

// contains says which field of `part` is not in `whole`, if there is one. One that is empty may be left out.
func contains(whole, part any, path string) error {
	switch part := part.(type) {
	case map[string]any:
		fields, _ := whole.(map[string]any)
		for key, value := range part {
			found, known := fields[key]
			if !known && !empty(value) {
				return fmt.Errorf("%s.%s is not a field that the Collector knows", path, key)
			}
			if err := contains(found, value, path+"."+key); err != nil {
				return err
			}
		}
	case []any:
		items, _ := whole.([]any)
		for index, value := range part {
			var found any
			if index < len(items) {
				found = items[index]
			}
			if err := contains(found, value, path+"["+strconv.Itoa(index)+"]"); err != nil {
				return err
			}
		}
	}
	return nil
}

func empty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	default:
		return value == "" || value == float64(0)
	}
}

type object = map[string]any

func spans(traces ptrace.Traces) []object {
	all := []object{}
	for _, ofResource := range traces.ResourceSpans().All() {
		resource := object{
			"attributes":         sorted(attributes(ofResource.Resource().Attributes())),
			"dropped_attributes": ofResource.Resource().DroppedAttributesCount(),
			"schema_url":         ofResource.SchemaUrl(),
		}
		for _, ofScope := range ofResource.ScopeSpans().All() {
			scope := object{
				"name":               ofScope.Scope().Name(),
				"version":            ofScope.Scope().Version(),
				"attributes":         attributes(ofScope.Scope().Attributes()),
				"dropped_attributes": ofScope.Scope().DroppedAttributesCount(),
				"schema_url":         ofScope.SchemaUrl(),
			}
			for _, span := range ofScope.Spans().All() {
				all = append(all, spanOf(span, resource, scope))
			}
		}
	}
	return all
}

func spanOf(span ptrace.Span, resource, scope object) object {
	events, links := []object{}, []object{}
	for _, event := range span.Events().All() {
		events = append(events, object{
			"time":               uint64(event.Timestamp()),
			"name":               event.Name(),
			"attributes":         attributes(event.Attributes()),
			"dropped_attributes": event.DroppedAttributesCount(),
		})
	}
	for _, link := range span.Links().All() {
		links = append(links, object{
			"trace_id":           link.TraceID().String(),
			"span_id":            link.SpanID().String(),
			"trace_state":        link.TraceState().AsRaw(),
			"flags":              link.Flags(),
			"attributes":         attributes(link.Attributes()),
			"dropped_attributes": link.DroppedAttributesCount(),
		})
	}
	return object{
		"trace_id":           span.TraceID().String(),
		"span_id":            span.SpanID().String(),
		"parent_span_id":     span.ParentSpanID().String(),
		"trace_state":        span.TraceState().AsRaw(),
		"flags":              span.Flags(),
		"name":               span.Name(),
		"kind":               int32(span.Kind()),
		"start_time":         uint64(span.StartTimestamp()),
		"end_time":           uint64(span.EndTimestamp()),
		"attributes":         attributes(span.Attributes()),
		"dropped_attributes": span.DroppedAttributesCount(),
		"events":             events,
		"dropped_events":     span.DroppedEventsCount(),
		"links":              links,
		"dropped_links":      span.DroppedLinksCount(),
		"status_code":        int32(span.Status().Code()),
		"status_message":     span.Status().Message(),
		"resource":           resource,
		"scope":              scope,
	}
}

func attributes(of pcommon.Map) []object {
	all := []object{}
	for key, value := range of.All() {
		all = append(all, object{"key": key, "value": valueOf(value)})
	}
	return all
}

func sorted(attributes []object) []object {
	sort.Slice(attributes, func(a, b int) bool {
		return attributes[a]["key"].(string) < attributes[b]["key"].(string)
	})
	return attributes
}

func valueOf(value pcommon.Value) any {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return object{"string": value.Str()}
	case pcommon.ValueTypeBool:
		return object{"bool": value.Bool()}
	case pcommon.ValueTypeInt:
		return object{"int": value.Int()}
	case pcommon.ValueTypeDouble:
		return object{"double": double(value.Double())}
	case pcommon.ValueTypeBytes:
		return object{"bytes": base64.StdEncoding.EncodeToString(value.Bytes().AsRaw())}
	case pcommon.ValueTypeMap:
		return object{"map": attributes(value.Map())}
	case pcommon.ValueTypeSlice:
		items := []any{}
		for _, item := range value.Slice().All() {
			items = append(items, valueOf(item))
		}
		return object{"array": items}
	default:
		return "none"
	}
}

// double is the bits in hex, and one text for every NaN.
func double(value float64) string {
	if math.IsNaN(value) {
		return "NaN"
	}
	return fmt.Sprintf("%016x", math.Float64bits(value))
}
