"""A file of keys, and requests of services that they are for."""

import datetime as dt

from footfall_collector.security.keys import KeyEntry, digest, make_token
from footfall_collector.security.keys_file import changing
from support.otlp import traces

ALL, SHOP, SLOW, OVER, NAMES = (make_token() for _ in range(5))


def write_keys(path, **tokens):
    """A keys file; each value is a token and what its key may do."""
    with changing(path) as entries:
        entries.clear()
        for name, (token, options) in tokens.items():
            hashed = "sha256:" + digest(token).hex()
            entries[name] = KeyEntry(hash=hashed, created=dt.date(2026, 1, 1), **options)


def of_service(name):
    request = traces("shop.ping")
    return request if name is None else with_service(request, name)


def with_service(body, name):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(body)
    attribute = request.resource_spans[0].resource.attributes.add(key="service.name")
    attribute.value.string_value = name
    return request.SerializeToString()
