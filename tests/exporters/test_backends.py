"""What each backend is sent, checked by servers that hold it against the limits of its documented API."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.sending import CATALOG, FULL, GUILD, NOW, SECRET
from footfall_exporters import testing
from footfall_exporters.contracts import Settings
from footfall_exporters.events import split
from footfall_exporters.ga4 import Ga4Config
from footfall_exporters.json_log import JsonLogConfig
from footfall_exporters.posthog import PostHogConfig
from footfall_exporters.segment import SegmentConfig
from footfall_exporters.webhook import WebhookConfig
from footfall_processors import Batch, Rows, Shape

# All of them

CONFIGS = [
    PostHogConfig(endpoint="http://h/", api_key=SECRET),
    SegmentConfig(endpoint="http://h/", write_key=SECRET),
    Ga4Config(endpoint="http://h/", measurement_id="G-1", api_secret=SECRET),
    WebhookConfig(endpoint="http://h/", secret=SECRET),
    JsonLogConfig(),
]


async def text_of(config, *batches, catalog=CATALOG):
    async with config.open(Settings(catalog)) as subscriber:
        return b"".join(r for b in batches for r in subscriber.requests(b)).decode()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_pseudonyms_are_sent_only_when_that_is_asked_for(config):
    assert str(GUILD) not in await text_of(config, FULL)
    asked = await text_of(msgspec.structs.replace(config, pseudonyms=True), FULL)
    assert f'"guild_hash":"{GUILD}"' in asked


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_what_is_not_declared_any_more_stays_here(config):
    text = await text_of(config, FULL, catalog=msgspec.structs.replace(CATALOG, attributes={}))
    assert "shop.order" in text
    assert "smz3" not in text
    assert "blue" not in text


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_footfalls_own_events_stay_here(config):
    made = testing.batches(NOW)
    own = await text_of(config, *made, catalog=testing.catalog())
    assert "footfall.emitted" not in own
    assert "emitted_event" not in own


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
async def test_the_order_of_columns_does_not_change_the_bytes(config):
    (rows,) = FULL.rows
    columns = tuple(reversed(rows.shapes[0].columns))
    shape = Shape(rows.shapes[0].dimension, 1.0, columns)
    turned = Rows(rows.times, rows.durations, [shape], rows.values[::-1])
    other = Batch(digest=FULL.digest, signal="traces", rows=[turned], counts=FULL.counts)
    assert await text_of(config, other) == await text_of(config, FULL)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_every_key_is_documented(config):
    text = Path(__file__).parents[2].joinpath("docs/subscribers.md").read_text()
    keys = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert set(config.__struct_fields__) <= keys


@given(
    st.lists(st.integers(0, 60).map(lambda n: json.dumps("x" * n).encode()), max_size=60),
    st.integers(1, 10),
    st.integers(20, 100),
    st.none() | st.integers(5, 50),
)
def test_parts_hold_everything_in_order_and_within_their_limits(items, most, size, largest):
    parts = [[bytes(item) for item in part] for part in split(items, most, size, largest)]
    assert [item for part in parts for item in part] == items
    for part in parts:
        assert 1 <= len(part) <= most
        assert len(part) == 1 or len(b",".join(part)) <= size
        assert len(part) == 1 or max(map(len, part)) <= (size if largest is None else largest)
