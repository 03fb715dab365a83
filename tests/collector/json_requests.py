"""Requests in JSON, and the official ones that they became."""

import asyncio
import json

from footfall_collector.decoding import otlp_json
from support.otlp import REQUESTS


def groups(signal, body):
    return asyncio.run(otlp_json.groups(signal, body))


def read(signal, document):
    """The official request that a JSON document became, with one scope for each resource."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    message = REQUESTS[signal]()
    (request_field,) = message.DESCRIPTOR.fields
    (scopes_field,) = (f for f in request_field.message_type.fields if f.name.startswith("scope_"))
    items_field = scopes_field.message_type.fields_by_number[2]
    for resource, _, items in groups(signal, body):
        group = getattr(message, request_field.name).add()
        group.resource.MergeFromString(resource)
        scope = getattr(group, scopes_field.name).add()
        for item in items:
            getattr(scope, items_field.name).add().MergeFromString(item)
    return message


def one_span(**fields):
    return {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}


def read_span(**fields):
    [group] = read("traces", one_span(**fields)).resource_spans
    return group.scope_spans[0].spans[0]


def read_value(value):
    [pair] = read_span(attributes=[{"key": "k", "value": value}]).attributes
    return pair.value
