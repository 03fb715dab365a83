import datetime as dt
import fcntl
import itertools
import json
import os
import pwd
import re
import signal
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall import _state
from footfall._consent import Consent
from footfall._decision import State, decide
from footfall_processors import load_catalog
from instrumentation.consent.conftest import finish, tree

PATIENT = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
TODAY = dt.datetime.now(dt.UTC).date()
UNDECIDED = State("off", decided=False, outdated=False, since=None)
SAID = {
    "no consent": None,
    "undecided": UNDECIDED,
    "revoked": State("off", True, False, TODAY),
    "on": State("on", True, False, TODAY),
    "on, outdated": State("on", True, True, TODAY),
    "local": State("local", True, False, TODAY),
    "local, outdated": State("local", True, True, TODAY),
}


def on(after, text="2020-01-01"):
    return dt.date.fromisoformat(text) + dt.timedelta(days=after)


# Who wins.


@pytest.mark.parametrize(
    ("variables", "enabled", "said", "mode"),
    [
        ("", None, "no consent", "off"),
        ("", True, "no consent", "on"),
        ("", False, "no consent", "off"),
        ("TELEMETRY_ENABLED=true", None, "no consent", "on"),
        ("TELEMETRY_ENABLED= 1 ", None, "no consent", "on"),
        ("TELEMETRY_ENABLED=TRUE", True, "no consent", "on"),
        ("TELEMETRY_ENABLED=true", False, "no consent", "off"),
        ("TELEMETRY_ENABLED=", True, "no consent", "on"),
        ("TELEMETRY_ENABLED=false", True, "no consent", "off"),
        ("TELEMETRY_ENABLED=0", True, "no consent", "off"),
        ("TELEMETRY_ENABLED=maybe", True, "no consent", "off"),
        ("TELEMETRY_ENABLED=local", None, "no consent", "local"),
        ("TELEMETRY_ENABLED=Local", True, "no consent", "local"),
        ("TELEMETRY_ENABLED=local", False, "no consent", "off"),
        ("", None, "undecided", "off"),
        ("", True, "undecided", "off"),
        ("TELEMETRY_ENABLED=true", True, "undecided", "off"),
        ("TELEMETRY_ENABLED=local", None, "undecided", "off"),
        ("TELEMETRY_ENABLED=true", True, "revoked", "off"),
        ("TELEMETRY_ENABLED=local", True, "revoked", "off"),
        ("TELEMETRY_ENABLED=true", True, "on, outdated", "off"),
        ("TELEMETRY_ENABLED=local", True, "on, outdated", "off"),
        ("TELEMETRY_ENABLED=true", True, "local, outdated", "off"),
        ("", None, "on", "on"),
        ("TELEMETRY_ENABLED=true", None, "on", "on"),
        ("TELEMETRY_ENABLED=local", None, "on", "local"),
        ("TELEMETRY_ENABLED=false", None, "on", "off"),
        ("TELEMETRY_ENABLED=maybe", None, "on", "off"),
        ("", False, "on", "off"),
        ("", None, "local", "local"),
        ("TELEMETRY_ENABLED=true", True, "local", "local"),
        ("TELEMETRY_ENABLED=local", None, "local", "local"),
        ("TELEMETRY_ENABLED=false", None, "local", "off"),
        ("", False, "local", "off"),
        ("DO_NOT_TRACK=1", True, "on", "off"),
        ("DO_NOT_TRACK=true", True, "local", "off"),
        ("DO_NOT_TRACK=please", True, "no consent", "off"),
        ("DO_NOT_TRACK=1 TELEMETRY_ENABLED=true", True, "no consent", "off"),
        ("DO_NOT_TRACK=1 TELEMETRY_ENABLED=local", True, "local", "off"),
        ("DO_NOT_TRACK=", None, "on", "on"),
        ("DO_NOT_TRACK=0", None, "on", "on"),
        ("DO_NOT_TRACK=False", None, "on", "on"),
        ("OTEL_SDK_DISABLED=true", True, "on", "off"),
        ("OTEL_SDK_DISABLED=TRUE", True, "local", "off"),
        ("OTEL_SDK_DISABLED=maybe", True, "on", "off"),
        ("OTEL_SDK_DISABLED=true DO_NOT_TRACK=0 TELEMETRY_ENABLED=true", True, "on", "off"),
        ("OTEL_SDK_DISABLED=false", None, "on", "on"),
        ("OTEL_SDK_DISABLED=", True, "no consent", "on"),
    ],
)
def test_whoever_says_off_wins(variables, enabled, said, mode):
    environ = dict(pair.split("=") for pair in re.findall(r"\w+=[^A-Z]*(?:[A-Z]\w*)?", variables))
    assert decide({"OTHER": "x"} | environ, enabled, SAID[said]) == mode


def test_nothing_that_is_added_can_turn_on_what_somebody_turned_off():
    values = ["", "true", "false", "local", "0", "1", "x"]
    names = ["OTEL_SDK_DISABLED", "DO_NOT_TRACK", "TELEMETRY_ENABLED"]
    for chosen in itertools.product(values, repeat=3):
        environ = dict(zip(names, chosen, strict=True))
        for enabled, said in itertools.product([None, True, False], SAID.values()):
            mode = decide(environ, enabled, said)
            refusals = [
                chosen[0] in ("true", "1", "local", "x"),
                chosen[1] in ("true", "1", "local", "x"),
                chosen[2] in ("false", "0", "x"),
                enabled is False,
                said is not None and (not said.decided or said.outdated or said.mode == "off"),
            ]
            assert not (any(refusals) and mode != "off"), (environ, enabled, said)
            if "local" in (chosen[2], said and said.mode):
                assert mode != "on"


# Before anybody agreed.

QUIET = """
    import sys, footfall
    from footfall._consent import Consent
    from footfall_processors import load_catalog
    path = sys.argv[1]
    consent = Consent("shop", load_catalog(path))
    assert consent.nudge_due() and consent.changes()
    assert (consent.state().mode, consent.installation_id()) == ("off", None)
    consent.forget()
    footfall.configure(path, "http://127.0.0.1:9")
    with footfall.feature("shop.order", provider="smz3"):
        footfall.event("shop.visit")
        footfall.count("shop.press", 3)
    assert footfall.flush() and footfall.shutdown()
"""


def test_before_a_decision_nothing_is_created(home, tmp_path, catalog, spawn, monkeypatch):
    monkeypatch.chdir(home)
    before = tree(tmp_path)
    finish(spawn(QUIET, catalog, PYTHONDONTWRITEBYTECODE="1"))
    assert tree(tmp_path) == before
    assert tree(home) == {}


def test_after_a_no_nothing_is_kept_but_the_no(consent, decision, home):
    consent.revoke()
    assert consent.installation_id() is None
    assert set(tree(home)) == {".config", ".config/footfall", ".config/footfall/shop.json"}
    assert json.loads(decision.read_text()) == {
        "decision": {"type": "revoked", "since": TODAY.isoformat()},
        "nudged": None,
        "never_again": False,
        "version": 1,
    }


# Yes, no, and yes again.


@pytest.mark.parametrize("mode", ["on", "local"])
def test_a_yes_holds_in_every_program_and_for_its_user_alone(consent, allowed, decision, mode):
    consent.grant(mode)
    other = Consent("shop", allowed)
    assert consent.state() == other.state() == State(mode, True, False, TODAY)
    assert consent.changes() == []
    assert decision.stat().st_mode & 0o777 == 0o600
    assert decision.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(decision.parent) == ["shop.json"]
    other.revoke()
    assert consent.state() == State("off", True, False, TODAY)


def test_products_do_not_share_a_decision(consent, allowed):
    consent.grant()
    assert Consent("stock", allowed).state() == UNDECIDED


def test_xdg_variables_and_a_folder_of_the_programs_own_are_honoured(
    tmp_path, home, allowed, monkeypatch
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    consent = Consent("shop", allowed)
    consent.grant()
    assert (tmp_path / "settings" / "footfall" / "shop.json").is_file()
    assert consent.store == tmp_path / "data" / "footfall" / "shop.sqlite"
    own = Consent("shop", allowed, tmp_path / "own")
    assert own.state() == UNDECIDED
    own.grant("local")
    assert own.store == tmp_path / "own" / "shop.sqlite"
    assert (tmp_path / "own" / "shop.json").is_file()
    assert tree(home) == {}


def test_whoever_wants_to_know_is_told_after_the_change(allowed, kept):
    seen = []
    consent = Consent(
        "shop", allowed, changed=lambda: seen.append((consent.state().mode, kept.exists()))
    )
    consent.grant("local")
    kept.parent.mkdir(parents=True)
    kept.touch()
    consent.nudged()
    consent.revoke()
    assert seen == [("local", False), ("off", True)], "the store goes when nobody writes any more"
    assert not kept.exists()


def test_a_mode_that_does_not_exist_changes_nothing(consent, home, caplog):
    consent.grant("always")
    assert tree(home) == {}
    assert "nothing was changed" in caplog.text


def test_an_installation_has_one_random_id_from_its_first_use_until_it_is_forgotten(
    consent, allowed, decision
):
    consent.grant()
    assert json.loads(decision.read_text())["decision"]["installation"] is None
    first = consent.installation_id()
    assert uuid.UUID(first).version == 4
    assert Consent("shop", allowed).installation_id() == first
    consent.grant("local")
    assert consent.installation_id() == first, "another yes goes on"
    consent.forget()
    assert first not in decision.read_text()
    second = consent.installation_id()
    consent.revoke()
    assert second not in decision.read_text()
    assert consent.installation_id() is None
    consent.grant()
    assert len({first, second, consent.installation_id()}) == 3


def test_clearing_the_settings_forgets_everything(consent, decision):
    consent.grant()
    first = consent.installation_id()
    decision.unlink()
    assert consent.state() == UNDECIDED
    assert consent.installation_id() is None
    consent.grant()
    assert consent.installation_id() != first


def test_revoking_deletes_what_was_kept(consent, kept):
    consent.grant("local")
    kept.parent.mkdir(parents=True)
    for end in ("", "-wal", "-shm", "-journal"):
        kept.with_name(kept.name + end).touch()
    kept.with_name("other.sqlite").touch()
    consent.revoke()
    assert os.listdir(kept.parent) == ["other.sqlite"]


def test_what_cannot_be_deleted_is_said(consent, kept, caplog):
    consent.grant("local")
    (kept / "in the way").mkdir(parents=True)
    consent.revoke()
    assert consent.state().mode == "off"
    assert "cannot be deleted" in caplog.text
    assert str(kept.parent) not in caplog.text


# Another catalog than the one that was agreed to.


@pytest.mark.parametrize("mode", ["on", "local"])
def test_a_catalog_that_allows_more_needs_another_yes(consent, catalog, mode):
    consent.grant(mode)
    first = consent.installation_id()
    catalog.write_text(catalog.read_text().replace("max: 100", "max: 900"))
    wider = Consent("shop", load_catalog(catalog))
    assert wider.state() == State(mode, True, True, TODAY)
    assert wider.changes() == ["items: may be above 100."]
    assert wider.installation_id() is None
    assert wider.nudge_due()
    assert consent.state().outdated is False, "the program as it was goes on"
    wider.grant(mode)
    assert wider.state() == State(mode, True, False, TODAY)
    assert wider.installation_id() == first


def test_a_catalog_that_allows_less_or_says_it_otherwise_needs_none(consent, catalog):
    consent.grant()
    text = catalog.read_text().replace("max: 100", "max: 99").replace("items, weight, ", "items, ")
    catalog.write_text(
        text.replace("feature: order\n", "feature: order\n    description: Bought\n")
    )
    narrower = Consent("shop", load_catalog(catalog))
    assert narrower.state() == State("on", True, False, TODAY)
    assert narrower.changes() == []
    assert narrower.installation_id() is not None
    assert not narrower.nudge_due()


def test_before_a_yes_and_after_a_no_everything_is_new(consent):
    asked = consent.changes()
    assert "New: shop.visit (visit)." in asked
    assert "shop.order may carry items: a whole number from 0 to 100." in asked
    consent.revoke()
    assert consent.changes() == asked


# Reminders.


def shift(decision, days):
    """Makes every date in the file older, or younger: the clock moved, and the file did not."""
    text = decision.read_text()
    for found in set(re.findall(r"\d{4}-\d\d-\d\d", text)):
        text = text.replace(found, on(-days, found).isoformat())
    decision.write_text(text)


def test_a_user_is_asked_once_and_then_only_now_and_then(consent, decision):
    assert consent.nudge_due()
    consent.nudged()
    assert not consent.nudge_due()
    assert not consent.nudge_due(days=1)
    shift(decision, 29)
    assert not consent.nudge_due()
    assert consent.nudge_due(days=29)
    shift(decision, 1)
    assert consent.nudge_due()
    assert consent.state() == UNDECIDED


def test_a_no_is_an_answer_for_a_while(consent, decision):
    consent.revoke()
    assert not consent.nudge_due()
    shift(decision, 30)
    assert consent.nudge_due()
    consent.nudged()
    assert not consent.nudge_due()
    assert consent.state().since == TODAY - dt.timedelta(days=30)


def test_a_user_who_agreed_is_reminded_only_of_what_is_blocked(consent, decision):
    consent.nudged()
    consent.grant()
    assert not consent.nudge_due()
    assert consent.nudge_due(blocked=True)
    consent.nudged()
    assert not consent.nudge_due(blocked=True)
    shift(decision, 30)
    assert consent.nudge_due(blocked=True)
    assert not consent.nudge_due()


@pytest.mark.parametrize("answer", ["nudged", "grant", "revoke"])
def test_never_again_means_never(consent, catalog, decision, answer):
    consent.never_again()
    getattr(consent, answer)()
    shift(decision, 4000)
    catalog.write_text(catalog.read_text().replace("max: 100", "max: 900"))
    wider = Consent("shop", load_catalog(catalog))
    assert not wider.nudge_due()
    assert not wider.nudge_due(days=0, blocked=True)


@pytest.mark.parametrize(
    ("name", "value", "due"),
    [
        ("DO_NOT_TRACK", "1", False),
        ("OTEL_SDK_DISABLED", "true", False),
        ("TELEMETRY_ENABLED", "false", False),
        ("TELEMETRY_ENABLED", "true", True),
        ("TELEMETRY_ENABLED", "local", True),
    ],
)
def test_nobody_is_asked_where_a_switch_has_answered(consent, monkeypatch, name, value, due):
    monkeypatch.setenv(name, value)
    assert consent.nudge_due() is due
    assert consent.nudge_due(blocked=True) is due


@pytest.mark.parametrize(("back", "due"), [(1, False), (29, False), (4000, True)])
def test_a_clock_that_was_set_back_neither_nags_nor_silences_for_years(
    consent, decision, back, due
):
    consent.nudged()
    shift(decision, -back)
    assert consent.nudge_due() is due
    consent.grant()
    shift(decision, -back)
    assert consent.state() == State("on", True, False, on(back, TODAY.isoformat()))


# Files as they may be found.


@pytest.fixture
def granted(consent, decision):
    """The content of a file in which the user agreed."""
    consent.grant()
    consent.installation_id()
    return decision.read_bytes()


def assert_undecided_and_usable(consent):
    assert consent.state() == UNDECIDED
    assert consent.installation_id() is None
    assert consent.nudge_due()
    consent.grant()
    assert consent.state() == State("on", True, False, TODAY)


def test_half_a_file_is_no_yes(consent, decision, granted):
    for length in (*range(0, len(granted), 9), len(granted) - 1):
        decision.write_bytes(granted[:length])
        assert consent.state() == UNDECIDED
    assert_undecided_and_usable(consent)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":2'),
        (b'"version":1', b'"version":1,"more":true'),
        (b'"mode":"on"', b'"mode":"always"'),
        (b'"mode":"on",', b""),
        (b'"scope":{', b'"scope":{"further":1,'),
        (b'"type":"granted"', b'"type":"assumed"'),
        (b'"since":"', b'"since":"never'),
    ],
)
def test_a_file_that_is_not_quite_understood_is_no_yes(consent, decision, granted, old, new):
    assert granted.count(old) == 1
    decision.write_bytes(granted.replace(old, new))
    assert_undecided_and_usable(consent)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"true",
        b'{"enabled": true}',
        b"\x00" * 99,
        b"\xff\xfe{}",
        b"[" * 99_999,
    ],
)
def test_something_else_in_its_place_is_no_yes(consent, decision, content):
    decision.parent.mkdir(parents=True)
    decision.write_bytes(content)
    assert_undecided_and_usable(consent)


@PATIENT
@given(st.binary(max_size=200), st.data())
def test_no_content_raises(consent, decision, content, data):
    consent.grant()
    text = decision.read_bytes()
    start = data.draw(st.integers(0, len(text)))
    decision.write_bytes(text[:start] + content + text[start + len(content) :])
    consent.state(), consent.changes(), consent.nudge_due(), consent.installation_id()
    decision.write_bytes(content)
    assert consent.state() == UNDECIDED


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/")],
)
def test_what_is_no_file_in_its_place_is_no_yes(consent, decision, make):
    decision.parent.mkdir(parents=True)
    make(decision)
    assert_undecided_and_usable(consent)


# Places that cannot be written.


@pytest.fixture(
    params=["home is missing", "no home", "no folder can be made", "a file is in the way"]
)
def unwritable(request, home, monkeypatch):
    match request.param:
        case "home is missing":
            home.rmdir()
        case "no home":
            monkeypatch.delenv("HOME")
            monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # as for a user without an account
        case "no folder can be made":
            monkeypatch.setenv("XDG_CONFIG_HOME", "/proc")
        case "a file is in the way":
            (home / ".config").touch()


def test_what_cannot_be_saved_holds_for_this_program_after_one_warning(
    unwritable, allowed, tmp_path, home, caplog
):
    before = tree(tmp_path)
    consent = Consent("shop", allowed)
    assert consent.state() == UNDECIDED
    consent.grant()
    assert consent.state() == State("on", True, False, TODAY)
    first = consent.installation_id()
    assert first == consent.installation_id() is not None
    consent.nudged()
    consent.forget()
    assert first != consent.installation_id()
    assert Consent("shop", allowed).state() == UNDECIDED
    consent.revoke()
    assert consent.state() == State("off", True, False, TODAY)
    assert consent.installation_id() is None
    assert tree(tmp_path) == before
    (record,) = [r for r in caplog.records if "saved" in r.getMessage()]
    assert (record.name, record.levelname) == ("footfall", "WARNING")
    assert str(home) not in caplog.text


def test_a_place_that_can_be_written_again_is_written(allowed, home, caplog):
    (home / ".config").touch()
    consent = Consent("shop", allowed)
    consent.grant()
    (home / ".config").unlink()
    consent.installation_id()
    assert Consent("shop", allowed).installation_id() == consent.installation_id() is not None


# Several programs at once.

START = """
    import sys
    from footfall._consent import Consent
    from footfall_processors import load_catalog
    consent = Consent("shop", load_catalog(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
"""


def start(spawn, catalog, code, number=1):
    """Programs that begin the same code in the same moment."""
    processes = [spawn(START + code, catalog) for _ in range(number)]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def test_programs_that_start_together_have_the_same_installation_id(consent, catalog, spawn):
    consent.grant()
    processes = start(spawn, catalog, "    print(consent.installation_id())", 4)
    assert {finish(process).strip() for process in processes} == {consent.installation_id()}


def test_a_no_is_never_undone_by_what_another_program_writes(consent, catalog, spawn, decision):
    busy = start(
        spawn,
        catalog,
        """
    while not sys.stdin.closed:
        consent.nudged(), consent.installation_id(), consent.forget()
        """,
        2,
    )
    for _ in range(40):
        consent.grant()
        consent.installation_id()
        consent.revoke()
        time.sleep(0.003)
        assert consent.state().mode == "off"
    for process in busy:
        process.kill()
        process.wait()
    assert consent.state() == State("off", True, False, TODAY)
    assert "installation" not in decision.read_text()


def test_a_program_that_is_killed_leaves_a_whole_file(consent, catalog, spawn, decision):
    consent.grant()
    for delay in (0.01, 0.05):
        (process,) = start(
            spawn, catalog, "    while True: consent.forget(), consent.installation_id()"
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert consent.state() == State("on", True, False, TODAY)
        consent.nudged()
    assert set(os.listdir(decision.parent)) <= {"shop.json", "shop.json.new"}
    consent.revoke()
    assert os.listdir(decision.parent) == ["shop.json"]


def test_a_program_that_hangs_while_it_writes_holds_nobody_up(consent, decision):
    consent.nudged()
    lock = os.open(decision.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    before = time.monotonic()
    consent.revoke()
    assert time.monotonic() - before < _state.PATIENCE + 1
    os.close(lock)
    assert json.loads(decision.read_text())["decision"]["type"] == "revoked"
