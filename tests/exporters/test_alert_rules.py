"""R-number C7: the rules find what is wrong, and nothing where there is chance alone."""

import datetime as dt
import math
import random

import pytest

from exporters.alert_samples import DOCUMENT, PRODUCTS, p95_of, sample_of, samples, seen, slower
from exporters.fortnights import DAY, HOUR, Fortnight, poisson, slots
from footfall_collector.receivers.page import PAGES
from footfall_exporters.postgres.alerts import chance, rates, refusals, shares
from footfall_exporters.postgres.alerts.counts import Slow
from footfall_exporters.postgres.alerts.refusals import Busiest
from footfall_exporters.postgres.alerts.rules import RULES
from footfall_exporters.postgres.reports.histograms import slot_at

NOW = dt.datetime(2026, 6, 15, 15, tzinfo=dt.UTC)


def found(fortnight, now):
    counts = seen(fortnight, now)
    few = rates.low_event_rate(counts, rates.former(counts), 0.5)
    rules = few, shares.failure_share(counts, shares.past_failures(counts), 1.5)
    return {finding.about for rule in rules for finding in rule}


@pytest.mark.requirement("C7")
@pytest.mark.parametrize("size", [20, 300, 3000])
@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_is_wrong_nothing_is_found(size, seed):
    fortnight = Fortnight(NOW, f"{size} {seed}", size)
    every = dt.timedelta(minutes=100)
    assert [now for now in fortnight.times(every) if found(fortnight, now)] == []


@pytest.mark.requirement("C7")
def test_the_probability_of_so_few_is_that_of_the_binomial_distribution():
    for number, weeks, former in ((0, 4, 40), (50, 4, 400), (10, 2, 40), (100, 4, 400)):
        size, share = number + former, 1 / (1 + weeks)
        terms = (
            math.comb(size, n) * share**n * (1 - share) ** (size - n) for n in range(number + 1)
        )
        likely = chance.of_so_few(number, 1 / weeks, former, 1.0)
        assert likely == pytest.approx(sum(terms), rel=1e-6)


def test_of_uneven_counts_as_many_say_less():
    assert chance.of_so_few(50, 1 / 4, 400, 5.0) > 1e3 * chance.of_so_few(50, 1 / 4, 400, 1.0)
    draw = random.Random(1)
    even = [[draw.gauss(100, 10) for _ in range(4)] for _ in range(200)]
    uneven = [[draw.gauss(100, 30) for _ in range(4)] for _ in range(200)]
    assert chance.dispersion(even) == pytest.approx(1, abs=0.2)
    assert chance.dispersion(uneven) == pytest.approx(9, abs=1.5)


def test_a_burst_or_an_outage_of_one_week_is_not_what_the_others_are_held_against():
    assert chance.cut([100, 104, 98, 2000])[3] < 150
    assert chance.cut([100, 104, 98, 0])[3] > 50
    assert chance.cut([100, 104, 98, 91]) == [100, 104, 98, 91]


def test_half_of_the_average_is_where_it_says():
    """With so many events, so even, chance is out of the question: what is left is the threshold."""
    for factor, is_found in ((0.45, True), (0.55, False)):

        def plan(hour, _, factor=factor):
            return (factor if hour >= NOW - 2 * HOUR else 1, 1)

        fortnight = Fortnight(NOW, 5, 200_000, [plan], uneven=1e-4)
        assert bool(found(fortnight, NOW - dt.timedelta(minutes=1))) == is_found, factor


def test_what_is_young_is_not_judged():
    fortnight = Fortnight(NOW, 6, 3000, [lambda hour, _: (0 if hour >= NOW - 3 * HOUR else 1, 1)])
    late = NOW - dt.timedelta(minutes=1)
    assert {about.product for about in found(fortnight, late)} == {"bakery", "bot"}
    fortnight.hours = {h: made for h, made in fortnight.hours.items() if h > NOW - 13 * DAY}
    assert found(fortnight, late) == set()


@pytest.mark.parametrize("seed", range(3))
def test_slower_is_what_is_far_from_days_that_differ(seed):
    draw = random.Random(seed)

    def slow(middle):
        former = [slots(draw, 100, draw.gauss(100, 5)) for _ in range(21)]
        present = [slots(draw, 100, middle) for _ in range(3)]
        usual, now = p95_of(former), p95_of(present)
        past = shares.past_durations({"bakery.order": Slow(usual, slower(former, usual))})
        durations = {"bakery.order": slower(present, usual)}
        found = shares.latency_p95(durations, past, PRODUCTS, 1.5, lambda _: now)
        return [finding.about for finding in found]

    assert [slow(100) for _ in range(200)] == [[]] * 200
    assert slow(300) == [("latency_p95", "bakery", "bakery.order")]


def test_failures_are_told_with_how_sure_that_is():
    def worse(hour, event):
        return (1, 10 if event == "bakery.order" and hour >= NOW - 3 * HOUR else 1)

    counts = seen(Fortnight(NOW, 7, 1000, [worse]), NOW - dt.timedelta(minutes=1))
    [finding] = shares.failure_share(counts, shares.past_failures(counts), 1.5)
    assert finding.about == ("failure_share", "bakery", "bakery.order")
    assert "% of" in finding.what
    assert finding.sure.startswith("by chance it would be so in fewer than one of 1,")


def test_so_many_is_as_likely_as_the_binomial_distribution_has_it():
    for number, weeks, former in ((12, 4, 8), (3, 2, 40), (40, 4, 40)):
        size, share = number + former, 1 / (1 + weeks)
        terms = (
            math.comb(size, n) * share**n * (1 - share) ** (size - n)
            for n in range(number, size + 1)
        )
        likely = chance.of_so_many(number, 1 / weeks, former, 1.0)
        assert likely == pytest.approx(sum(terms), rel=1e-6)


def test_days_that_differ_make_shares_uneven_and_one_bad_day_does_not():
    draw = random.Random(2)
    even = [(1000, poisson(draw, 50)) for _ in range(28)]
    uneven = [(1000, poisson(draw, 50 * draw.gauss(1, 0.4))) for _ in range(28)]
    assert chance.unevenness(even) < 2
    assert chance.unevenness(uneven) > 4
    bad = chance.without_bad([*even, (1000, 400)])
    assert chance.unevenness(bad) < 2.5
    assert bad[-1][1] < 100
    assert chance.without_bad(even) == even


def refused(*numbers, has_key=False):
    """What is told where the busiest hour of today had so many, that of yesterday so many, ..."""
    days = [Busiest("traces", "key", has_key, ago, n) for ago, n in enumerate(numbers)]
    return [*refusals.refused_requests(days, 10, lambda signal, reason: f"see {signal} {reason}")]


@pytest.mark.requirement("A10")
def test_refused_requests_are_told_where_there_are_more_than_on_most_days():
    [finding] = refused(10)
    assert finding.about == ("refused_requests", "", "traces refused_key")
    assert finding.first == "see traces refused_key"
    assert refused(9) == []
    assert refused(0, 900) == []
    assert refused(100, *(0, 400, 300, 200, 0, 49), *(1,) * 20), "three busy days are no rhythm"
    assert refused(100, *(0, 400, 300, 200, 0, 51), *(1,) * 20) == []


@pytest.mark.requirement("A10")
def test_a_neighbour_who_comes_and_goes_is_told_of_seldom():
    """Each day more than on the one before: some alerts in a month, not one an hour."""
    days, told = [], 0
    for day in range(28):
        days.insert(0, min(10 * 3**day, 10**9))
        told += bool(refused(*days))
    assert 0 < told <= 21
    assert not refused(10**9, *days)
    steady = [refused(*(1000,) * day) for day in range(1, 28)]
    assert [bool(found) for found in steady] == [True] * 4 + [False] * 23


@pytest.mark.requirement("A10")
def test_a_neighbour_hides_nothing_of_senders_with_a_key():
    noise = [Busiest("traces", "invalid", False, ago, 10**6) for ago in range(28)]
    own = [Busiest("traces", "invalid", True, 0, 12)]
    [finding] = refusals.refused_requests([*noise, *own], 10, lambda *_: "")
    assert finding.about.subject == "traces refused_invalid with a key"
    assert "12 requests were refused" in finding.what


def test_the_messages_in_the_document_are_those_that_are_sent():
    """They are written by `python -m exporters.alert_samples`."""
    document = DOCUMENT.read_text(encoding="utf-8")
    told = dict(samples())
    assert list(told) == list(RULES)
    for rule, sample in told.items():
        assert sample_of(rule, document)[2] == sample, rule


def test_each_rule_leads_to_a_page_of_the_operators_listener():
    assert {rule.page for rule in RULES.values()} <= set(PAGES)


def test_a_slot_is_found_by_what_its_durations_are_told_as():
    middles = [0, 1, *(2 ** ((slot - 1) / 16) * 2 / (1 + 2 ** (1 / 16)) for slot in range(2, 300))]
    assert list(map(slot_at, middles)) == list(range(300))
