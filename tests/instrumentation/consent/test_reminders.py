"""When a user is asked, and asked again."""

import datetime as dt
import re

import pytest

from footfall._consent.consent import Consent
from footfall._decision import State
from footfall_processors import load_catalog
from instrumentation.consent.conftest import TODAY, UNDECIDED, on


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
