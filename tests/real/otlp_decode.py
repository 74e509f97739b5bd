"""Decodes OTLP exports with OpenTelemetry's own protobuf messages, and says what it understood.

In: a list of exports, each with its `Content-Type` and its body in Base64. A name or a type that the messages do not have is
an error. Out: every resource's attributes and spans.
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def with_base64_ids(node):
    """Identifiers are in hexadecimal in OTLP/JSON, where the JSON mapping of protobuf has Base64 for bytes."""
    if isinstance(node, list):
        return [with_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key in ids else with_base64_ids(value)
        for key, value in node.items()
    }


def value_of(value):
    return getattr(value, value.WhichOneof("value"))


def attributes(pairs):
    return {pair.key: value_of(pair.value) for pair in pairs}


def export(kind, body):
    if kind == "application/x-protobuf":
        return ExportTraceServiceRequest.FromString(body)
    assert kind == "application/json", kind
    return json_format.ParseDict(with_base64_ids(json.loads(body)), ExportTraceServiceRequest())


understood = []
for exported in json.load(sys.stdin):
    request = export(exported["type"], base64.b64decode(exported["body"]))
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8 and len(span.parent_span_id) in (0, 8)
                understood.append(
                    {
                        "resource": attributes(resource.resource.attributes),
                        "scope": scope.scope.name,
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "parent_span_id": span.parent_span_id.hex(),
                        "name": span.name,
                        "flags": span.flags,
                        "kind": Span.SpanKind.Name(span.kind),
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "attributes": attributes(span.attributes),
                        "status": Status.StatusCode.Name(span.status.code),
                        "message": span.status.message,
                    }
                )
json.dump(understood, sys.stdout)
