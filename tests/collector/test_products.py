"""One person in two products is two pseudonyms, unless both catalogs share the attribute."""

import json
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Hash, Policy, load_catalog, period
from footfall_processors.document import DocumentError

NOW = time.time_ns()
SALTS = {period(Hash.DAILY, NOW // 1000): b"s" * 32}


def catalog(tmp_path, **shared):
    """Of two products that declare the same attribute."""
    paths = []
    for product in ("bot", "shop"):
        event = {"surface": "web", "feature": "x", "attributes": ["guild_id"]}
        source = {
            "product": product,
            "attributes": {"guild_id": {"type": "string", "hash": "daily"}},
            "events": {f"{product}.used": event},
        }
        if product in shared:
            source["shared"] = shared[product]
        paths.append(tmp_path / f"{product}.yaml")
        paths[-1].write_text(json.dumps(source))  # JSON is YAML
    return load_catalog(paths)


async def pseudonyms(found):
    """Of one guild in an event of each product."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for product in ("bot", "shop"):
        span = spans.add(name=f"{product}.used")
        span.start_time_unix_nano = span.end_time_unix_nano = NOW
        span.attributes.add(key="guild_id").value.string_value = "guild 7"
    pipeline = Pipeline(Policy(found), SALTS, clock=lambda: NOW)
    batch = await pipeline.traces(request.SerializeToString())
    return [value for rows in batch.rows for value in rows.values[0]]


async def test_two_products_have_two_pseudonyms_of_a_guild(tmp_path):
    bot, shop = await pseudonyms(catalog(tmp_path))
    assert len(bot) == len(shop) == 16
    assert bot != shop


async def test_two_that_share_it_have_one(tmp_path):
    bot, shop = await pseudonyms(catalog(tmp_path, bot=["guild_id"], shop=["guild_id"]))
    assert bot == shop


async def test_one_alone_shares_nothing(tmp_path):
    bot, shop = await pseudonyms(catalog(tmp_path, bot=["guild_id"]))
    assert bot != shop


def test_what_is_shared_must_be_a_hashed_attribute(tmp_path):
    with pytest.raises(DocumentError, match='"guilt_id" is no attribute'):
        catalog(tmp_path, bot=["guilt_id"])
    source = {"product": "bot", "attributes": {"plain": {"type": "string"}}, "shared": ["plain"]}
    path = tmp_path / "plain.yaml"
    path.write_text(json.dumps(source | {"events": {"a.b": {"surface": "web", "feature": "x"}}}))
    with pytest.raises(DocumentError, match='"plain" has no hash'):
        load_catalog(path)
