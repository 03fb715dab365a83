"""What wins, as docs/configuration.md says it: each rival in its table is tried."""

import json
import secrets
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from footfall._settings import Options
from footfall._settings import read as settings
from footfall_collector.config.config import load_config
from support.documents import ROOT, table

CATALOG = "product: {}\nevents: {{small.ping: {{surface: web, feature: ping}}}}\n"
SALTS = [secrets.token_hex(32), secrets.token_hex(32)]
ON = {"TELEMETRY_ENABLED": "true", "TELEMETRY_CATALOG": "events.yaml"}
POSTHOG = {"exporters": {"posthog": {"api_key": "phc_example"}}}


class Tried(NamedTuple):
    """How it is tried which of two holds.

    Attributes:
        read: Environment, arguments and file → what holds.
        ours: What the variable says.
        theirs: What the rival says.
        if_ours: What holds where the variable wins.
        if_theirs: What holds where the rival does.
    """

    read: Any
    ours: str
    theirs: Any
    if_ours: Any
    if_theirs: Any


def sdk(field):
    return lambda environment, arguments, _: getattr(
        settings(ON | environment, Options(**arguments)), field
    )


def collector(path):
    def read(environment, _, file):
        Path("collector.yaml").write_text(json.dumps(file))
        found = load_config("collector.yaml", {"TELEMETRY_HASH_SALT": SALTS[0]} | environment)
        for name in path.split("."):
            found = getattr(found, name)
        return found

    return read


def sent_to(environment, arguments, file):
    loaded = collector("subscribers")(environment, arguments, POSTHOG | file)
    return sorted(loaded)


def salts(*given):
    return [*collector("static_salts")(*given).values()]


def pipelines(*exporters):
    return {"traces": {"exporters": ["postgres", *exporters]}}


SALT_KEY = "processors.footfall.hash_salt"
ATTEMPTS = {
    ("TELEMETRY_ENABLED", "enabled"): Tried(sdk("mode"), "false", True, "off", "on"),
    ("TELEMETRY_ENABLED", "OTEL_SDK_DISABLED"): Tried(sdk("mode"), "true", "true", "on", "off"),
    ("TELEMETRY_ENABLED", "DO_NOT_TRACK"): Tried(sdk("mode"), "true", "1", "on", "off"),
    ("TELEMETRY_SAMPLE_RATE", "sample_rate"): Tried(sdk("sample_rate"), "0.5", 0.25, 0.5, 0.25),
    ("TELEMETRY_BATCH_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"): Tried(sdk("batch"), "100", "7", 100, 7),
    ("TELEMETRY_FLUSH_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY"): Tried(sdk("span_delay"), "2000", "7", 2000, 7),
    ("TELEMETRY_CATALOG", "catalog"): Tried(sdk("catalog"), "a.yaml", "b.yaml", ["a.yaml"], "b.yaml"),
    ("TELEMETRY_CATALOG", "processors.footfall.catalog"):
        Tried(collector("catalog.products"), "a.yaml", "b.yaml", ("a",), ("b",)),
    ("TELEMETRY_HASH_SALT", SALT_KEY):
        Tried(salts, *SALTS, *([salt.encode()] for salt in SALTS)),
    ("TELEMETRY_RETENTION_DAYS", "exporters.postgres.retention_days"):
        Tried(collector("postgres.retention_days"), "30", 40, 30, 40),
    ("TELEMETRY_SINK", "service.pipelines"):
        Tried(sent_to, "db,logs", pipelines("posthog"), ["logs"], ["posthog"]),
    ("TELEMETRY_ANALYTICS_ENABLED", "service.pipelines"):
        Tried(sent_to, "false", pipelines("logs", "posthog"), ["logs"], ["logs", "posthog"]),
    ("TELEMETRY_RATE_LIMIT_USER", "receivers.http_api.rate_limit.user"):
        Tried(collector("http_api.rate_limit.user"), "7", 8, 7, 8),
    ("TELEMETRY_RATE_LIMIT_ADDRESS", "receivers.http_api.rate_limit.address"):
        Tried(collector("http_api.rate_limit.address"), "7", 8, 7, 8),
    ("FEATURES_PSR", "FOOTFALL_DEV"): Tried(collector("http_api.psr.enabled"), "false", "1", False, True),
    ("FEATURES_PSR", "receivers.http_api.psr.enabled"):
        Tried(collector("http_api.psr.enabled"), "true", False, True, False),
}  # fmt: skip
"""A rival with dots is a key of the file, one in capitals a variable, the others are arguments."""


def rivals():
    """(variable, rival, whether the variable wins), as documented."""
    for variable, cells in table(ROOT / "docs/configuration.md", "What wins").items():
        for cell, wins in ((cells[-2], True), (cells[-1], False)):
            yield from (
                (variable, rival.strip(" `"), wins) for rival in cell.split(",") if rival.strip()
            )


def given(rival, value):
    """What a rival says, as environment, arguments and file."""
    file = {"receivers": {"http_api": {}}}
    if rival.isupper():
        return {rival: value}, {}, file
    if "." not in rival:
        return {}, {rival: value}, file
    section, (*outer, last) = file, rival.split(".")
    for key in outer:
        section = section.setdefault(key, {})
    section[last] = value
    return {}, {}, file


@pytest.mark.parametrize(("variable", "rival", "wins"), list(rivals()))
def test_what_wins_is_what_the_documents_say(tmp_path, monkeypatch, variable, rival, wins):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "events"):
        Path(f"{name}.yaml").write_text(CATALOG.format(name))
    tried = ATTEMPTS[variable, rival]
    environment, arguments, file = given(rival, tried.theirs)
    if variable != "TELEMETRY_ENABLED":  # which is on unless the variable says else
        assert tried.read(environment, arguments, file) == tried.if_theirs
    both = {**environment, variable: tried.ours}
    assert tried.read(both, arguments, file) == (tried.if_ours if wins else tried.if_theirs)


def test_every_rival_is_documented():
    assert {(variable, rival) for variable, rival, _ in rivals()} == set(ATTEMPTS)


@pytest.mark.requirement("C3")
def test_a_hundred_events_or_five_seconds_unless_somebody_says_else():
    found = settings(ON, Options())
    assert (found.batch, found.span_delay) == (100, 5000)
    hosts = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512", "OTEL_BSP_SCHEDULE_DELAY": "1000"}
    found = settings(ON | hosts, Options())
    assert (found.batch, found.span_delay) == (512, 1000)
    empty = {"TELEMETRY_BATCH_SIZE": " ", "TELEMETRY_FLUSH_INTERVAL": ""}
    found = settings(ON | hosts | empty, Options())
    assert (found.batch, found.span_delay) == (512, 1000)
    found = settings(ON | {"OTEL_BSP_MAX_QUEUE_SIZE": "50"}, Options())
    assert found.batch == 50


@pytest.mark.parametrize("text", ["0", "-1", "many"])
@pytest.mark.parametrize("name", ["TELEMETRY_BATCH_SIZE", "TELEMETRY_FLUSH_INTERVAL"])
def test_how_fast_is_sent_is_never_a_reason_to_send_nothing(name, text):
    found = settings({**ON, name: text}, Options())
    assert (found.mode, found.batch, found.span_delay) == ("on", 100, 5000)
    (note,) = found.notes
    assert note.startswith(f"{name} must be")


@pytest.mark.parametrize("name", ["TELEMETRY_RATE_LIMIT_USER", "TELEMETRY_RATE_LIMIT_ADDRESS"])
def test_a_limit_that_is_none_is_a_mistake_and_limits_alone_start_no_api(
    tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    Path("events.yaml").write_text(CATALOG.format("small"))
    with pytest.raises(ValueError, match=rf"rate_limit\..*set by {name}"):
        collector("http_api")({name: "many"}, {}, {"receivers": {"http_api": {}}})
    assert collector("http_api")({name: "7"}, {}, {}) is None
