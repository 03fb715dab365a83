"""Reports at any width: no name is cut, nothing empty is shown, numbers are whole."""

import datetime as dt
import io
from string import ascii_lowercase

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from footfall_collector.cli.tables import Beside, print_report, side_by_side
from footfall_exporters.postgres import Report

SINCE = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
ERRORS = ("surface", "feature", "event", "provider", "error_type", "status", "count", "share")
LONG = "shop.newsletter.subscription.confirmation"
PARTS = st.text(ascii_lowercase + "_", min_size=1, max_size=15)
NAMES = st.tuples(
    st.sampled_from(ascii_lowercase), PARTS | st.just(""), st.lists(PARTS, max_size=3)
).map(lambda drawn: ".".join([drawn[0] + drawn[1], *drawn[2]]))
"""As of a catalog's, with up to four parts; as texts, which are drawn quickly."""


def printed(report, width):
    file = io.StringIO()
    print_report(report, Beside("the last 7 days"), Console(file=file, width=width))
    return file.getvalue()


def errors(*rows):
    return Report("errors", SINCE, ERRORS, list(rows))


def test_what_is_empty_everywhere_is_no_column():
    report = errors(("web", "order", "shop.order", None, "empty_cart", "failed", 3, 0.25))
    assert "provider" not in printed(report, 200)
    report.rows.append(("web", "order", "shop.order", "smz3", "empty_cart", "failed", 1, 0.25))
    assert "provider" in printed(report, 200)


def test_a_table_as_wide_as_the_terminal_stays_one():
    report = errors(("web", "order", "shop.order", None, "empty_cart", "failed", 1_234, 0.25))
    shown = printed(report, 80)
    assert "web" in shown
    assert "1,234" in shown
    assert "25.0%" in shown
    assert shown.splitlines()[0].strip() == "What failed, the last 7 days (UTC)"


def test_what_the_name_says_already_gives_way_first():
    row = ("newsletter_editor", "subscription", LONG, None, "empty_cart", "failed", 1, 0.5)
    shown = printed(errors(row), 100)
    assert "newsletter_editor" not in shown
    assert any(LONG in line and "empty_cart" in line for line in shown.splitlines())


def test_the_errors_of_a_real_product_are_a_table_on_80_columns():
    rows = [
        (
            "discord",
            "racetime_tools",
            "discord.racetime_tools.command",
            "alttpr",
            e,
            s,
            1_234,
            0.185,
        )
        for e, s in (("permission_denied", "denied"), ("provider_timeout", "timeout"))
    ]
    lines = [line.split() for line in printed(errors(*rows), 80).splitlines()]
    assert ["event", "provider", "error", "type", "count", "share"] in lines
    for row in rows:
        assert [row[2], "alttpr", row[4], "1,234", "18.5%"] in lines


def test_names_that_fit_beside_nothing_have_lines_of_their_own():
    row = (
        "web",
        "order",
        f"{LONG}.again",
        None,
        "the_address_was_wrong_once",
        "failed",
        12_345,
        0.5,
    )
    lines = [line.rstrip() for line in printed(errors(row), 80).splitlines()]
    assert lines[2:] == [
        f"{LONG}.again",
        "  error type  the_address_was_wrong_once",
        "  status      failed",
        "  count       12,345",
        "  share       50.0%",
    ]


@given(
    st.lists(
        st.tuples(NAMES, NAMES, NAMES, NAMES | st.none(), NAMES, st.integers(0, 10**9)),
        min_size=1,
        max_size=4,
    ),
    st.integers(70, 120),
)
def test_every_event_and_number_is_whole_at_any_width(rows, width):
    report = errors(*((s, f, e, p, t, "failed", n, 0.5) for s, f, e, p, t, n in rows))
    shown = printed(report, width)
    for _, _, event, provider, error, number in rows:
        assert event in shown
        assert error in shown
        assert provider is None or provider in shown
        assert f"{number:,}" in shown
    assert "…" not in shown
    assert all(len(line) <= width for line in shown.splitlines())


def test_versions_side_by_side_are_a_table_on_80_columns():
    columns = (
        *(
            "service",
            "former",
            "version",
            "event",
            "ends_before",
            "ends",
            "failed_before",
            "failed",
        ),
        *("difference", "low", "high", "verdict", "p95_before_ms", "p95_ms"),
        *("uses_per_group_before", "uses_per_group"),
    )
    ends = (2060, 1107, 0.0971, 0.2439, 0.1468, 0.0945, 0.1991)
    row = (
        "shop",
        "2.0.11",
        "2.1.0",
        "shop.order",
        *ends,
        "no difference seen",
        None,
        1200,
        None,
        None,
    )
    report = side_by_side(Report("releases", None, columns, [row, row]))
    lines = printed(report, 80).splitlines()
    for said in ("2.0.11 → 2.1.0", "9.7% → 24.4%", "no difference seen", "- → 1,200"):
        assert any(said in line and "shop.order" in line for line in lines), said


def test_uses_per_group_are_beside_versions_where_some_are_known():
    columns = (
        "service", "former", "version", "event", "failed_before", "failed", "verdict", "p95_before_ms",
        "p95_ms", "uses_per_group_before", "uses_per_group",
    )  # fmt: skip
    known = ("shop", "2.0", "2.1", "shop.order", 0.1, 0.2, "fails more", 5, 6, 1.5, None)
    other = ("shop", "2.0", "2.1", "shop.cart", 0.1, 0.2, "fails more", 5, 6, None, None)
    found = side_by_side(Report("releases", None, columns, [known, other]))
    assert [row["uses_per_group"] for row in found.records()] == ["1.5 → -", "- → -"]


def test_a_change_is_a_percentage_with_its_sign_and_failures_are_a_share():
    columns = ("product", "event", "verdict", "uses", "uses_before", "change", "failures")
    row = ("shop", "shop.order", "growing", 15, 10, 0.5, 0.157)
    shown = printed(Report("features", None, columns, [row]), 80)
    assert "+50%" in shown
    assert "15.7%" in shown
