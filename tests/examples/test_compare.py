"""The comparison: equal numbers pass; one more, one less or one elsewhere is shown."""

import datetime as dt
from collections import Counter

import pytest

from footfall_examples.sahasrahbot import show
from footfall_examples.sahasrahbot.compare import Comparison, compare
from footfall_examples.sahasrahbot.drive import Tally
from footfall_exporters.postgres import Report

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def _reports(invokes: int = 3, timeouts: int = 1, guilds: int = 2) -> dict[str, Report]:
    usage = [
        ("discord", "generator", "discord.g", "invoke", invokes),
        ("api", "auth", "api.a", "start", 1),
    ]
    errors = [
        ("discord.g", "smz3", "provider_timeout", timeouts),
        ("discord.g", None, "provider_timeout", 1),
    ]
    columns = ("surface", "feature", "event", "action", "count")
    return {
        "usage": Report("usage", NOW, columns, usage),
        "errors": Report("errors", NOW, ("event", "provider", "error_type", "count"), errors),
        "groups": Report(
            "groups", NOW, ("day", "attribute", "active"), [(NOW.date(), "guild_id", guilds)]
        ),
    }


@pytest.fixture
def tally() -> Tally:
    uses = Counter({("discord.g", "invoke"): 3, ("api.a", "start"): 1})
    return Tally(uses, Counter({("discord.g", "provider_timeout"): 2}), {1, 2})


def _shown(capsys: pytest.CaptureFixture[str], comparisons: list[Comparison]) -> tuple[bool, str]:
    good = show.print_comparison(show.make_console(), comparisons)
    return good, capsys.readouterr().out


def test_equal_numbers_are_shown_as_equal(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    good, text = _shown(capsys, compare(tally, _reports()))
    assert good
    assert [" ".join(line.split()) for line in text.splitlines()[2:]] == [
        "uses driven 4 = reported 4", "api driven 1 = reported 1", "discord driven 3 = reported 3",
        "failures driven 2 = reported 2", "guilds driven 2 = reported 2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "line"),
    [
        (_reports(invokes=2), ["discord.g invoke", "3", "2"]),
        (_reports(timeouts=2), ["discord.g provider_timeout", "2", "3"]),
        (_reports(guilds=3), ["guild_id", "2", "3"]),
    ],
)
def test_a_number_that_differs_is_shown_with_both_sides(
    reports: dict[str, Report],
    line: list[str],
    tally: Tally,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, text = _shown(capsys, compare(tally, reports))
    assert not good
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in text.splitlines()]
    assert line in rows
    assert "≠" in text


def test_equal_totals_do_not_hide_that_single_numbers_differ(
    tally: Tally, capsys: pytest.CaptureFixture[str]
) -> None:
    tally.uses = Counter({("discord.g", "invoke"): 2, ("api.a", "start"): 2})
    good, text = _shown(capsys, compare(tally, _reports()))
    assert not good
    assert "driven       4 ≠ reported       4" in text


def test_guilds_of_two_days_are_not_added_up(tally: Tally) -> None:
    reports = _reports()
    days = [(NOW.date() + dt.timedelta(days=n), "guild_id", 2) for n in range(2)]
    reports["groups"] = Report("groups", NOW, reports["groups"].columns, days)
    kinds = [one.what for one in compare(tally, reports)]
    assert kinds == ["uses", "api", "discord", "failures"]


def test_a_use_that_is_reported_of_another_surface_is_shown(tally: Tally) -> None:
    reports = _reports()
    row = ("web", *reports["usage"].rows[1][1:])
    reports["usage"].rows[1] = row
    differences = {one.what: one.differences for one in compare(tally, reports)}
    assert differences["api"] == [("api", 1, 0)]
    assert differences["web"] == [("web", 0, 1)]
    assert differences["uses"] == differences["discord"] == []
