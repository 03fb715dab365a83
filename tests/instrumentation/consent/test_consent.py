"""What a user said: who wins, how long it holds, and for which catalog."""

import itertools
import json
import os
import re
import uuid

import pytest

from footfall._consent.consent import Consent
from footfall._decision import State, decide
from footfall_processors import load_catalog
from instrumentation.consent.conftest import TODAY, UNDECIDED, finish, tree

# Who wins.


SAID = {
    "no consent": None,
    "undecided": UNDECIDED,
    "revoked": State("off", True, False, TODAY),
    "on": State("on", True, False, TODAY),
    "on, outdated": State("on", True, True, TODAY),
    "local": State("local", True, False, TODAY),
    "local, outdated": State("local", True, True, TODAY),
}


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
    from footfall._consent.consent import Consent
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
        "tokens": [],
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
    catalog.write_text(text.replace("feature: order\n", "feature: order\n    owner: us\n"))
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
