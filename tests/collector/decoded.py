"""What became of a request, as multisets, and what a plain walk over it says."""

import asyncio
import contextlib
from collections import Counter

import msgspec
import pytest

from collector.spans import NOW_US
from footfall_collector.decoding import budget, memo, plans
from footfall_collector.decoding import spans as pipeline
from footfall_processors import Policy
from footfall_processors.catalog import Attribute, Rule, Type
from support import reference

RULES = {
    "shop.order": [Rule(route="GET /orders/{id}"), Rule(route="* /files/*")],
    "shop.survey": [Rule(route="POST /orders/{id}", action="skip"), Rule(span="survey *")],
    "shop.ping": [Rule(span="GET /ping")],
}


SOURCES = {
    "visitor": "visitorId",
    "note": "status",
    "attempts": "metrics.attempts",
    "provider": "kind",
}


def with_rules(catalog):
    """The catalog's policy, with rules for spans of other instrumentations."""
    events = {
        name: msgspec.structs.replace(event, match=tuple(RULES.get(name, ())))
        for name, event in catalog.events.items()
    }
    return Policy(msgspec.structs.replace(catalog, events=events))


def with_sources(policy, sources=SOURCES):
    """The policy of the same catalog, whose attributes are sent under other keys."""
    catalog = policy.catalog
    attributes = {
        name: msgspec.structs.replace(attribute, source=sources.get(name, ""))
        for name, attribute in catalog.attributes.items()
    }
    gift = Attribute(
        type=Type.ENUM, values=("alttpr", "ribbon"), source=sources.get("provider", "")
    )
    ping = msgspec.structs.replace(catalog.events["shop.ping"], attributes=("gift",))
    return Policy(
        msgspec.structs.replace(
            catalog,
            attributes=attributes | {"gift": gift},
            events=catalog.events | {"shop.ping": ping},
        )
    )


USUAL = {}
SMALL = {
    "VALUES_PER_KEY": 2,
    "UNDECLARED_VALUES": 2,
    "MOST": 6000,
    "DAYS": 2,
    "SLICE": 3,
    "LIMIT": 2,
}


def limit(patch, limits):
    for name, value in limits.items():
        owner = {"SLICE": pipeline, "LIMIT": plans.Contexts, "DAYS": plans, "MOST": budget}.get(
            name, memo
        )
        patch.setattr(owner, name, value)


@contextlib.contextmanager
def limited(limits):
    with pytest.MonkeyPatch.context() as patch:
        limit(patch, limits)
        yield


def decode(pipe, body):
    return asyncio.run(pipe.traces(body))


def rows_of(batch):
    """(time, duration, shape, values) of each row."""
    return [row for rows in batch.rows for row in _each(rows)]


def events_of(batch):
    return [shape.dimension.event for _, _, shape, _ in rows_of(batch)]


def _each(rows):
    (names,) = {shape.columns for shape in rows.shapes}
    assert len(rows.values) == len(names)
    values = zip(*rows.values, strict=True) if names else [()] * len(rows.times)
    return zip(rows.times, rows.durations, rows.shapes, values, strict=True)


def as_result(batch):
    """A batch as multisets: the order of rows is of no consequence."""
    return reference.Result(Counter(rows_of(batch)), Counter(batch.counts), Counter(batch.losses))


def expected(pipe, salts, resources):
    return reference.evaluate(pipe.policy, salts, resources, NOW_US)
