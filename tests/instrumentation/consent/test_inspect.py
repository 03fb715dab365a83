import base64
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from footfall import inspect
from footfall._consent import local
from footfall._consent.consent import Consent
from footfall._consent.inspection import otlp_json
from footfall._consent.store import LocalStore
from footfall_collector.cli.inspect import inspect as command
from instrumentation.consent.conftest import finish, tree


@pytest.fixture
def show(capsys):
    """Runs `python -m footfall.inspect` in this process."""

    def show(*arguments, status=0):
        assert inspect.main(list(map(str, arguments))) == status
        return capsys.readouterr()

    return show


@pytest.fixture
def used(consent, connect, kept):
    """A program that was used for a while in local mode."""
    consent.grant("local")
    client = connect("", exporters=local.exporters(kept), service_version="1.2")
    for number in (3, 4):
        with client.feature("shop.order", provider="smz3", note="für\nalle", items=number):
            client.event("shop.visit", provider="alttpr")
        client.count("shop.press", 10, provider="alttpr")
        assert client.flush()
    return client


def stored(kept):
    with closing(sqlite3.connect(kept)) as database:
        return database.execute("SELECT signal, body FROM requests ORDER BY id").fetchall()


def from_otlp_json(text):
    """A request from OTLP/JSON, by protobuf's own reader, which wants base64 for the ids."""
    text = re.sub(
        r'"(traceId|spanId|parentSpanId)": "([0-9a-f]+)"',
        lambda m: f'"{m[1]}": "{base64.b64encode(bytes.fromhex(m[2])).decode()}"',
        text,
    )
    found = json.loads(text)
    message = ExportTraceServiceRequest if "resourceSpans" in found else ExportMetricsServiceRequest
    return ParseDict(found, message())


def test_next_is_exactly_what_would_be_sent(used, show, kept):
    lines = show("--next").out.splitlines()
    assert [from_otlp_json(line).SerializeToString() for line in lines] == [
        body for _, body in stored(kept)
    ]
    assert len(lines) == 3, "two requests of spans, and the latest of the counters"
    (span, *_) = json.loads(lines[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
    assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
    assert isinstance(span["kind"], int)
    assert re.fullmatch("[0-9]{19}", span["startTimeUnixNano"])


def test_ids_in_links_and_exemplars_are_hex_and_values_that_look_like_ids_are_untouched():
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.parent_span_id = b"\1" * 16, b"\2" * 8
    span.links.add(trace_id=b"\3" * 16, span_id=b"\4" * 8)
    span.attributes.add(key="traceId", value=AnyValue(bytes_value=b"\5" * 16))
    found = otlp_json(request)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert found == {
        "traceId": "01" * 16,
        "parentSpanId": "02" * 8,
        "links": [{"traceId": "03" * 16, "spanId": "04" * 8}],
        "attributes": [
            {"key": "traceId", "value": {"bytesValue": base64.b64encode(b"\5" * 16).decode()}}
        ],
    }


def test_raw_writes_the_very_bytes(used, show, kept, tmp_path):
    folder = tmp_path / "raw"
    printed = show("--raw", folder).out.split()
    assert printed == [
        str(folder / name) for name in ("0001-traces.bin", "0002-traces.bin", "0003-metrics.bin")
    ]
    assert [Path(name).read_bytes() for name in printed] == [body for _, body in stored(kept)]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_raw_overwrites_nothing(used, show, tmp_path):
    assert show("--raw", tmp_path, status=1).err == f"{tmp_path} cannot be written: File exists\n"


def test_events_are_shown_in_plain_text(used, show):
    text = show().out
    assert re.match(
        r"Product: shop\nConsent: on this machine only since [\d-]{10} \(UTC\)\n"
        r"Kept on this machine: 3 requests; none of them was sent.\n",
        text,
    )
    assert "Observations: 4, the last 4 (UTC):" in text
    (line, *_) = [line for line in text.splitlines() if "shop.order" in line]
    assert re.match(r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  shop.order  \d+ ms  ", line)
    for pair in (
        "items=3",
        'provider="smz3"',
        'feature.action="success"',
        r'note="f\u00fcr\nalle"',
    ):
        assert pair in line
    assert '20  shop.press  feature.action="invoke" provider="alttpr"' in text
    assert 'service.name="shop" service.version="1.2"' in text


def test_of_many_observations_the_last_are_listed_and_json_has_all(used, show):
    for _ in range(60):
        used.event("shop.visit")
    assert used.flush()
    text = show().out
    assert "Observations: 64, the last 50 (UTC):" in text
    assert text.count("shop.visit") == 50 + 1, "and its tally"
    assert len(json.loads(show("--json").out)["observations"]) == 64


def test_json_says_the_same(used, show, consent):
    found = json.loads(show("--json").out)
    since = consent.state().since.isoformat()
    assert found["product"] == "shop"
    assert found["consent"] == {"mode": "local", "decided": True, "since": since}
    assert found["requests"] == 3
    assert [(each["event"], each["attributes"].get("items")) for each in found["observations"]] == [
        ("shop.visit", None), ("shop.order", 3), ("shop.visit", None), ("shop.order", 4),
    ]  # fmt: skip
    assert {
        "event": "shop.press",
        "number": 20,
        "attributes": {"feature.action": "invoke", "provider": "alttpr"},
    } in found["counts"]
    assert [each["service.version"] for each in found["programs"]] == ["1.2"]
    assert found["dropped"] == []


def test_what_was_pushed_out_is_told(show, kept, consent):
    consent.grant("local")
    store = LocalStore(kept, requests=1)
    for _ in range(3):
        store.keep("traces", b"", 7)
    assert "Pushed out by later ones:\n  2 requests of traces, 14 items\n" in show().out
    assert json.loads(show("--json").out)["dropped"] == [
        {"signal": "traces", "requests": 2, "items": 14}
    ]


def test_with_a_catalog_it_tells_what_is_new(used, show, catalog):
    assert "allows nothing that was not agreed to" in show("--catalog", catalog).out
    catalog.write_text(catalog.read_text().replace("max: 100", "max: 900"))
    shown = show("--catalog", catalog).out
    assert "telemetry is off until it is:\n  - items: may be above 100.\n" in shown
    found = json.loads(show("--catalog", catalog, "--json").out)["consent"]
    assert (found["outdated"], found["changes"]) == (True, ["items: may be above 100."])


@pytest.mark.parametrize(
    ("decide", "line"),
    [
        (lambda consent: consent.nudged(), "Consent: nothing was decided; telemetry is off\n"),
        (lambda consent: consent.revoke(), "Consent: no since "),
        (lambda consent: consent.grant(), "Consent: yes since "),
    ],
)
@pytest.mark.parametrize("option", [[], ["--next"]])
def test_where_nothing_is_kept_it_says_why(consent, show, decide, line, option):
    decide(consent)
    shown = show(*option)
    assert (line in shown.out) is (option == [])
    assert shown.err.startswith("Nothing is kept on this machine. A program that sends keeps")


def test_where_footfall_never_was_it_says_so_and_makes_nothing(show, home):
    assert "has kept nothing on this machine" in show(status=1).err
    assert "Consent: nothing was decided" in show("--product", "shop").out
    assert tree(home) == {}


def test_of_several_products_one_is_named(allowed, show, tmp_path):
    for product in ("shop", "stock"):
        Consent(product, allowed).grant()
    Consent("else", allowed, tmp_path / "own").revoke()
    assert show(status=1).err == (
        "there are several products: shop, stock; name one with --product\n"
    )
    assert "Product: stock\nConsent: yes" in show("--product", "stock").out
    assert "Product: else\nConsent: no" in show("--folder", tmp_path / "own").out


def test_a_file_that_cannot_be_read_is_said(consent, kept, show):
    consent.grant("local")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"no database" * 100)
    assert f"{kept} cannot be read: file is not a database" in show(status=1).err
    kept.unlink()
    LocalStore(kept).keep("traces", b"no request", 1)
    assert show(status=1).err != ""


def test_a_wrong_catalog_is_told_with_its_place(show, catalog):
    catalog.write_text("product: 7\n")
    assert f"{catalog}:1: product" in show("--catalog", catalog, status=2).err


def test_looking_changes_nothing_and_sends_nothing(used, home, catalog, spawn):
    before = tree(home)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://{}:{}".format(*server.getsockname()),
            "TELEMETRY_ENABLED": "true",
            "TELEMETRY_CATALOG": str(catalog),
        }
        code = "import runpy; runpy.run_module('footfall.inspect', run_name='__main__')"
        assert "shop.order" in finish(spawn(code, **variables))
        with pytest.raises(TimeoutError):
            server.accept()
    assert tree(home) == before


@pytest.mark.parametrize("option", [[], ["--json"], ["--next"]])
def test_output_that_cannot_be_written_is_one_line_or_none(used, option):
    command = [sys.executable, "-m", "footfall.inspect", *option]
    read, write = os.pipe()
    os.close(read)
    for output, said in (
        ("/dev/full", "the output cannot be written: No space left on device\n"),
        (write, ""),
    ):
        with open(output, "w") as out:
            done = subprocess.run(
                command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60
            )
        assert (done.returncode, done.stderr) == (1, said)
    closed = ["sh", "-c", 'exec "$0" "$@" >&-', *command]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_encoding_does_not_have_is_a_question_mark(used, catalog):
    text = catalog.read_text("utf-8")
    catalog.write_text(text.replace("visit: {", "visit: {description: 新しい, "), "utf-8")
    command = [sys.executable, "-m", "footfall.inspect", "--catalog", str(catalog)]
    done = subprocess.run(command, capture_output=True, timeout=60,
                          env=os.environ | {"PYTHONIOENCODING": "latin-1"})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"???" in done.stdout


@pytest.mark.parametrize(
    "options", [[], ["--json"], ["--next"], ["--product", "none"], ["--catalog", "none.yaml"]]
)
def test_the_command_and_the_module_are_the_same(used, show, options):
    result = CliRunner().invoke(command, options)
    shown = show(*options, status=result.exit_code)
    assert (shown.out, shown.err) == (result.stdout, result.stderr)


def test_the_command_and_the_module_have_the_same_options(capsys):
    with pytest.raises(SystemExit):
        inspect.main(["--help"])
    module = set(re.findall(r"--\w+", capsys.readouterr().out))
    ours = {option for param in command.params for option in param.opts}
    assert ours == module - {"--help"}
