"""The guide for Python programs: its program and its other examples, as they stand in the document."""

import re
from pathlib import Path

import pytest

from instrumentation import programs

GUIDE = (Path(__file__).parents[2] / "docs/guides/python.md").read_text("utf-8")
PROGRAM, *SNIPPETS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
(CATALOG,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(tmp_path, received):
    """Runs a program beside its catalog, with nothing but the environment to say where to send."""

    def start(program, **variables):
        (tmp_path / "program.py").write_text(program)
        (tmp_path / "events.yaml").write_text(CATALOG)
        return programs.run(
            "program.py",
            folder=tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            **variables,
        )

    return start


def uses(received):
    fixed = ("event", "feature.action", "feature.status", "error.type")
    return [
        tuple(o[key] for key in fixed if key in o)
        + tuple(
            (key, value) for key, value in o.items() if not key.startswith(("event", "fe", "er"))
        )
        for o in received.observations()
    ]


def test_the_program_sends_what_the_guide_says(run, received):
    assert len(PROGRAM.splitlines()) <= 20
    ended = run(PROGRAM, TELEMETRY_ENABLED="true")
    assert ended.stderr.splitlines()[-1] == "EmptyCart"
    assert "warning" not in ended.stderr.lower()
    assert uses(received) == [
        ("shop.report", "success", "ok", ("layout", "short"), ("pages", 3)),
        ("shop.order", "success", "ok"),
        ("shop.login", "success", "ok"),
        ("shop.order", "failure", "error", "empty_cart"),
    ]
    assert received.count("shop.order", feature_action="invoke") == 2
    assert received.count("shop.report", feature_action="invoke") == 1
    assert received.count("shop.skip", feature_action="skip") == 5
    assert received.dropped() == {}


def test_the_program_does_the_same_without_telemetry(run, received):
    ended = run(PROGRAM)
    assert ended.stderr.splitlines()[-1] == "EmptyCart"
    assert (ended.returncode, ended.stdout) == (1, "")
    assert received.bytes == b""


def test_the_other_examples_send_what_they_say(run, received):
    first = 'import footfall\n\nfootfall.configure(catalog="events.yaml")\n'
    ended = run(first + "\n".join(SNIPPETS), TELEMETRY_ENABLED="true")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert uses(received) == [
        ("shop.report", "success", "ok", ("layout", "full"), ("pages", 12)),
        ("shop.order", "failure", "error", "empty_cart"),
        ("shop.order", "failure", "denied", "permission_denied"),
    ]
    assert received.dropped() == {}
