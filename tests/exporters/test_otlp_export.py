import subprocess
import sys

import msgspec
import pytest

from conftest import CATALOG
from exporters.otlp_backend import SECRET, attributes, opened, requests, spans
from exporters.otlp_batches import GUILD, NOW, SEED, batch, dimension, event_id, one_row
from footfall_exporters.otlp import OtlpConfig, OtlpHttpConfig
from footfall_processors import Batch, Point, Rows, Shape
from support.batches import HOUR

# What is sent


async def test_a_row_becomes_a_span_with_everything_that_is_stored_of_it(catalog):
    columns = ("attempts", "guild_id", "note", "ranked", "ratio", "seed")
    values = (-7, GUILD, "grüße", True, 0.25, SEED.bytes)
    of = dimension(
        "shop.survey", "failure", "timeout", "provider_timeout", mode="zurück", provider="smr"
    )
    sent = batch(one_row(columns, values, rate=0.125, of=of))
    [request], metrics = await requests(catalog, sent, pseudonyms=True)
    [(resource, span)] = spans(request)
    assert metrics == []
    assert resource == [
        ("service.name", "shop"),
        ("service.version", "1.2"),
        ("deployment.environment.name", "production"),
    ]
    assert attributes(span.attributes) == [
        ("feature.surface", "web"),
        ("feature.name", "survey"),
        ("feature.action", "failure"),
        ("feature.status", "timeout"),
        ("error.type", "provider_timeout"),
        ("mode", "zurück"),
        ("provider", "smr"),
        ("feature.sample_rate", 0.125),
        ("attempts", -7),
        ("guild_id", b"footfall" + GUILD),
        ("note", "grüße"),
        ("ranked", True),
        ("ratio", 0.25),
        ("seed", str(SEED)),
    ]
    assert (span.name, span.kind, span.status.code) == ("shop.survey", 1, 2)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
        NOW * 1000 - 83 * 10**6,
        NOW * 1000,
    )
    assert (span.trace_id, span.span_id) == (event_id(0), event_id(0)[:8])
    assert request.resource_spans[0].scope_spans[0].scope.name == "footfall"


async def test_pseudonyms_stay_here_unless_they_are_asked_for(catalog):
    sent = batch(one_row(("guild_id", "note", "seed"), (GUILD, "a note", SEED.bytes)))
    kept = {}
    for pseudonyms in (False, True):
        [request], _ = await requests(catalog, sent, pseudonyms=pseudonyms)
        kept[pseudonyms] = [key for key, _ in attributes(spans(request)[0][1].attributes)][4:]
    assert kept == {False: ["note", "seed"], True: ["guild_id", "note", "seed"]}


@pytest.mark.parametrize(
    ("duration", "length"), [(None, 0), (0, 1), (1, 10**6), (2**31 - 1, (2**31 - 1) * 10**6)]
)
async def test_a_duration_is_the_spans_length_and_none_is_not_zero(catalog, duration, length):
    [request], _ = await requests(catalog, batch(one_row(duration=duration)))
    [(_, span)] = spans(request)
    assert span.end_time_unix_nano - span.start_time_unix_nano == length


async def test_what_is_missing_is_not_sent(catalog):
    of = dimension(who=(None, None, None))
    [request], _ = await requests(
        catalog, batch(one_row(("attempts", "note"), (None, None), of=of))
    )
    [(resource, span)] = spans(request)
    assert resource == []
    keys = [key for key, _ in attributes(span.attributes)]
    assert keys == ["feature.surface", "feature.name", "feature.action", "feature.status"]
    assert span.status.code == 1


async def test_rows_are_sent_250_at_a_time_each_with_its_own_id_and_service(catalog):
    services = [dimension(who=(name, None, None)) for name in ("a", "b", "c" * 40)]
    shapes = [Shape(of, 1.0, ("note",)) for of in services]
    size = 617
    sent = Rows(
        [NOW] * size, [1] * size, [shapes[n % 3] for n in range(size)], [["x" * 200] * size]
    )
    found, _ = await requests(catalog, batch(sent))
    assert [len(spans(request)) for request in found] == [250, 250, 117]
    assert [len(request.resource_spans) for request in found] == [3, 3, 3]
    ids = {span.trace_id: dict(who)["service.name"] for r in found for who, span in spans(r)}
    assert ids == {event_id(n): services[n % 3].service for n in range(size)}


async def test_occurrences_beyond_the_rows_are_delta_sums_with_one_metric_per_event(catalog):
    hour, order = NOW // HOUR * HOUR, dimension()
    failed = dimension(action="failure", status="error", error="out_of_stock", provider="smr")
    ping = dimension("shop.ping", "invoke", who=("api", None, None))
    own = dimension("footfall.emitted", "count", who=("api", None, None), emitted_event="shop.ping")
    counts = {
        (hour, failed): 2,
        (hour, order): 40,
        (hour - HOUR, order): 3,
        (hour, ping): 7,
        (hour, own): 9,
    }
    rows = Rows([NOW] * 2, [1] * 2, [Shape(order, 1.0, ())] * 2, [])
    _, [request] = await requests(catalog, batch(rows, counts=counts))
    found = {}
    for group in request.resource_metrics:
        service = dict(attributes(group.resource.attributes))["service.name"]
        assert "service.instance.id" not in dict(attributes(group.resource.attributes))
        names = [metric.name for scope in group.scope_metrics for metric in scope.metrics]
        assert len(names) == len(set(names))
        for metric in (m for scope in group.scope_metrics for m in scope.metrics):
            assert (metric.sum.is_monotonic, metric.sum.aggregation_temporality) == (True, 1)
            for point in metric.sum.data_points:
                since = point.start_time_unix_nano
                assert 0 <= point.time_unix_nano - since < 10**9
                named = (service, metric.name, since // 1000, *attributes(point.attributes))
                found[named] = point.as_int

    def ok(feature, action):
        fixed = {"surface": "web", "name": feature, "action": action, "status": "ok"}
        return tuple((f"feature.{key}", value) for key, value in fixed.items())

    out = (*ok("order", "failure")[:3], ("feature.status", "error"), ("error.type", "out_of_stock"))
    assert found == {
        ("shop", "shop.order", hour, *ok("order", "success")): 40,
        ("shop", "shop.order", hour - HOUR, *ok("order", "success")): 3,
        ("shop", "shop.order", hour, *out, ("provider", "smr")): 2,
        ("api", "shop.ping", hour, *ok("ping", "invoke")): 7,
        (
            "api",
            "footfall.emitted",
            hour,
            *ok("emitted", "count"),
            ("emitted_event", "shop.ping"),
        ): 9,
    }


async def test_two_batches_points_of_one_series_have_times_of_their_own(catalog):
    """Many backends keep one point of a series and time."""
    times = set()
    for digest in (b"a" * 16, b"b" * 16):
        sent = Batch(digest, "metrics", counts={(NOW // HOUR * HOUR, dimension()): 1})
        _, [request] = await requests(catalog, sent)
        [point] = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
        times.add(point.time_unix_nano)
    assert len(times) == 2


async def test_cumulative_counters_stay_cumulative_and_their_series_apart(catalog):
    of = dimension("shop.ping", "invoke")
    points = [
        Point(bytes([n]) * 16, bytes([n, 9]) * 8, of, NOW - HOUR, NOW + n, 10 + n) for n in range(3)
    ]
    _, [request] = await requests(catalog, batch(points=points, signal="metrics"))
    found = {}
    for group in request.resource_metrics:
        [metric] = group.scope_metrics[0].metrics
        assert (metric.name, metric.sum.aggregation_temporality) == ("shop.ping", 2)
        [point] = metric.sum.data_points
        instance = dict(attributes(group.resource.attributes))["service.instance.id"]
        found[instance] = (point.start_time_unix_nano, point.time_unix_nano, point.as_int)
    expected = {
        (bytes([n]) * 16).hex(): ((NOW - HOUR) * 1000, (NOW + n) * 1000, 10 + n) for n in range(3)
    }
    assert found == expected


async def test_a_backend_that_takes_traces_alone_is_sent_them_alone(catalog):
    sent = batch(one_row(), counts={(NOW, dimension("shop.ping")): 4})
    for signals, sizes in (
        (["traces"], (1, 0)),
        (["metrics"], (0, 1)),
        (["traces", "metrics"], (1, 1)),
    ):
        found = await requests(catalog, sent, signals=signals)
        assert tuple(map(len, found)) == sizes


PROGRAM = """
import hashlib, sys
sys.path[:0] = {path!r}
from exporters.otlp_batches import everything
from footfall_exporters.otlp_encode import trace_requests
from footfall_exporters.otlp_sums import metric_requests
from footfall_processors import load_catalog
sent = everything()
catalog = load_catalog({catalog!r})
hashed = hashlib.sha256()
for request in [*trace_requests(sent, catalog, True), *metric_requests(sent)]:
    hashed.update(request)
print(hashed.hexdigest())
"""


def test_another_process_makes_the_same_bytes():
    program = PROGRAM.format(path=sys.path, catalog=str(CATALOG))
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
    assert len(made.pop()) == 65


# Configuration


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": "collector"}, "host:port"),
        ({"endpoint": "ftp://host:1"}, "host:port"),
        ({"endpoint": "http://user@host:4317/path"}, "host:port"),
        ({"headers": {"grpc-timeout": "1"}}, "grpc-"),
        ({"headers": {"key-bin": "1"}}, "-bin"),
        ({"headers": {"key": "a\nb"}}, "printable"),
        ({"signals": ["logs"]}, "logs"),
        ({"timeout": 0}, "> 0"),
        ({"compression": "zstd"}, "zstd"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused(wrong, said):
    schema = msgspec.json.schema(OtlpConfig)
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"endpoint": "http://localhost:4317"} | wrong, OtlpConfig)
    assert said in str(caught.value) or said in str(schema)


def test_a_configuration_does_not_show_its_headers():
    config = OtlpConfig(endpoint="http://localhost:4317", headers={"authorization": SECRET})
    assert SECRET not in repr(config)
    assert SECRET not in repr(OtlpHttpConfig(endpoint="http://localhost", headers={"a": SECRET}))


async def test_a_certificate_that_cannot_be_read_is_named_at_the_start(catalog, tmp_path):
    missing = str(tmp_path / "ca.pem")
    with pytest.raises(ValueError, match=r"ca\.pem cannot be read: No such file"):
        async with opened(catalog, "https://localhost:4317", tls={"ca_file": missing}):
            pass
