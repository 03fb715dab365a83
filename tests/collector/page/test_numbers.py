"""Every number of every page: that of its report, and that of the journal, where it has one."""

import datetime as dt
import time
from collections import Counter

import pytest

from collector.page import journal, seeded
from collector.page.told import DASH, day, duration, percent, points, rounded, whole
from support.stores import TODAY

TASKS = {
    "brin": "Index new rows", "groups": "Count distinct groups", "indexes": "Index days for summaries",
    "inventory": "Judge each feature", "latency": "Add up durations and days",
    "partitions": "Make the next days", "published": "Publish settled days",
    "rates": "Forget minutes of limits", "releases": "Compare versions", "retention": "Drop old days",
    "salts": "Make and destroy salts", "sessions": "Follow and end sessions",
    "subscribers": "Look after backends", "writers": "End stuck writers",
}  # fmt: skip
TITLES = {event: title for event, title, *_ in seeded.FEATURES}
EVENT = "api.sglive.seed"
NAMES = {
    "provider_timeout": "Provider too slow",
    "provider_unavailable": "Provider away",
    "invalid_preset": "Impossible request",
    "permission_denied": "Not allowed",
}
MEASURED = ("p50_ms", "p95_ms", "p99_ms")


@pytest.fixture(scope="module")
def uses():
    return journal.written()


@pytest.fixture(scope="module")
def now(uses):
    """Those of the 30 days that are shown unless another period is chosen."""
    return [use for use in uses if use.day in journal.days(30)]


@pytest.fixture(scope="module")
def before(uses):
    """Those of a period as long, and directly before."""
    first, moment = midnight(journal.days(30)[0]), dt.datetime.now(dt.UTC)
    last = moment.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    return journal.between(uses, first - (last - first), first)


def midnight(date):
    return dt.datetime.combine(date, dt.time(), dt.UTC)


def since(number=30):
    return {"since": f"{journal.days(number)[0]}"}


def column(rows, *names):
    """The first column of a table, and those of these names."""
    return [[next(iter(row.values())), *(row[name] for name in names)] for row in rows]


def test_overview(shown, now, before, report):
    page = shown("/")
    present, [former] = journal.ends(now, "day"), journal.ends(before).values()
    total, failed = sum(e.uses for e in present.values()), sum(e.failed for e in present.values())
    change = failed / total - former.share
    assert page["tiles"]["Uses"][0] == whole(total)
    assert page["tiles"]["Uses"][1] == (
        f"{percent(total / former.uses - 1, signed=True)} · from {whole(former.uses)}"
    )
    assert page["tiles"]["Failed"][0] == percent(failed / total)
    assert page["tiles"]["Failed"][1] == f"{points(change)} · {whole(failed)} failures"
    [fast] = report("latency", by="environment", **since())
    assert page["tiles"]["p95"][0] == duration(fast["p95_ms"])
    active = [row for row in report("groups", **since()) if row["active"] is not None]
    assert page["tiles"]["Guilds a day"] == [whole(active[-1]["active"]), f"on {said(active[-1])}"]
    by = journal.ends(now, "day", "surface")
    surfaces = sorted({s for _, s in by}, key=lambda s: -sum(by[k].uses for k in by if k[1] == s))
    assert column(page["Uses by surface"], *surfaces) == [
        [day(d), *(whole(by[d, s].uses) if (d, s) in by else "0" for s in surfaces)]
        for d in journal.days(30)
    ]


def said(row):
    return day(dt.date.fromisoformat(row["day"]))


def test_what_changed(shown, now, before, report):
    rows = shown("/")["What changed"]
    present, former = journal.ends(now, "event"), journal.ends(before, "event")
    none = journal.Ends(0, 0)
    by_title = {TITLES[e]: (former.get(e, none).uses, present.get(e, none).uses) for e in TITLES}
    everything = [sum(each.uses for each in of.values()) for of in (former, present)]
    *parts, rest, whole_of_it = rows
    told = report("changes", by="event", limit="6", **since())
    of_uses = [row["what"].partition("event=")[2] for row in told if row["of"] == "uses"]
    assert [row["What"] for row in parts] == [TITLES[e] for e in of_uses if e]
    assert len(parts) > 2, "how many are beyond chance depends on the weekday"
    for row in parts:
        was, is_ = by_title[row["What"]]
        assert [row["Before"], row["Now"]] == [whole(was), whole(is_)]
        assert row["Difference"] == f"{'+' if is_ > was else ''}{whole(is_ - was)}"
    assert [whole_of_it["Before"], whole_of_it["Now"]] == [whole(n) for n in everything]
    left = [sum(by_title[row["What"]][i] for row in parts) for i in (0, 1)]
    assert [rest["Before"], rest["Now"]] == [
        whole(of - part) for of, part in zip(everything, left, strict=True)
    ]


def test_feature(shown, now, before, report):
    page = shown(f"/feature?event={EVENT}")
    mine = [use for use in now if use.event == EVENT]
    by_day = journal.ends(mine, "day")
    [present], [former] = (
        journal.ends(mine).values(),
        journal.ends(use for use in before if use.event == EVENT).values(),
    )
    assert page["tiles"]["Uses"][0] == whole(present.uses)
    assert page["tiles"]["Uses"][1].endswith(f" · from {whole(former.uses)}")
    assert page["tiles"]["Failed"][0] == percent(present.share)
    none = journal.Ends(0, 0)
    assert column(page["Uses"], "Uses") == [
        [day(d), whole(by_day.get(d, none).uses)] for d in journal.days(30)
    ]
    share = {d: percent(e.share) for d, e in by_day.items()}
    assert column(page["Share that fails"], "Failed") == [
        [day(d), share.get(d, "not known")] for d in journal.days(30)
    ]
    fast = {r["day"]: r for r in report("latency", by="day", where=f"event={EVENT}", **since())}
    assert len(fast) >= seeded.OBSERVED
    assert column(page["How long it takes"], "Half", "p95", "p99") == [
        [day(d), *(duration(fast[f"{d}"][m]) if f"{d}" in fast else "not known" for m in MEASURED)]
        for d in journal.days(30)
    ]


def test_what_a_feature_is_made_of(shown, now, before, report):
    page = shown(f"/feature?event={EVENT}")
    mine = [use for use in now if use.event == EVENT]
    past = [use for use in before if use.event == EVENT]
    kinds, kinds_before = journal.ends(mine, "error"), journal.ends(past, "error")
    count = lambda of, kind: whole(of[kind].uses if kind in of else 0)  # noqa: E731
    names = {None: "Success", **NAMES}
    assert sorted(column(page["How it ends"], "Now", "Before")) == sorted(
        [names[kind], count(kinds, kind), count(kinds_before, kind)] for kind in kinds
    )
    fast = report("latency", by="version", where=f"event={EVENT}", **since())
    p95 = {row["service_version"]: duration(row["p95_ms"]) for row in fast}
    assert sorted(column(page["By version"], "Uses", "p95")) == sorted(
        [version, whole(of.uses), p95.get(version, DASH)]
        for version, of in journal.ends(mine, "version").items()
    )
    for name, by in (("By version", "version"), ("By provider", "provider")):
        shares = {str(key): percent(of.share) for key, of in journal.ends(mine, by).items()}
        for row in page[name]:
            assert shares[next(iter(row.values()))] in row["Failed"]
    assert sorted(column(page["By provider"], "Uses", "Failures")) == sorted(
        [name, whole(of.uses), whole(of.failed)]
        for name, of in journal.ends(mine, "provider").items()
    )
    week = Counter((use.hour, use.day.weekday()) for use in mine)
    assert column(page["When it is used"], *["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]) == [
        [f"{hour:02}", *(whole(week[hour, d]) for d in range(7))] for hour in range(24)
    ]


def test_releases(shown, now, report):
    page = shown("/releases?service=api-service")
    mine = [use for use in now if use.service == "api-service"]
    fast = report("latency", by="version", where="service=api-service", **since())
    p95 = {row["service_version"]: duration(row["p95_ms"]) for row in fast}
    by = journal.ends(mine, "version")
    assert column(page["Versions"], "Uses", "Failed", "p95") == [
        [name, whole(by[name].uses), percent(by[name].share), p95.get(name, DASH)]
        for name in sorted(by, reverse=True)
    ]
    daily, carried = journal.ends(mine, "day"), journal.ends(mine, "day", "version")
    none = journal.Ends(0, 0)
    assert column(page["Which version carries the use"], *sorted(by)) == [
        [
            day(d),
            *(
                percent(
                    carried.get((d, v), none).uses / daily[d].uses if d in daily else 0, places=0
                )
                for v in sorted(by)
            ),
        ]
        for d in journal.days(30)
    ]
    told = {r["event"]: r for r in report("releases", where="service=api-service")}
    rows = page[f"Since {seeded.VERSIONS[0][0]}, feature by feature"]
    assert {row["Event"] for row in rows} == told.keys() - {"(all)"}
    for row in rows:
        of = told[row["Event"]]
        assert row["Verdict"] == of["verdict"].capitalize()
        assert row["Failed: before, after"].startswith(
            f"{percent(of['failed_before'])} → {percent(of['failed'])}"
        )
        assert row["Ended: before, after"] == f"{whole(of['ends_before'])} → {whole(of['ends'])}"


def test_failures(shown, now, before):
    page = shown("/failures")
    [present], [former] = journal.ends(now).values(), journal.ends(before).values()
    by = journal.ends(now, "event")
    tiles, failing = page["tiles"], {e: of for e, of in by.items() if of.failed}
    assert tiles["Failed"] == [
        percent(present.share),
        f"{points(present.share - former.share)} · {whole(present.failed)} of {whole(present.uses)}",
    ]
    most = max(failing, key=lambda event: failing[event].failed)
    assert tiles["Most failures"] == [
        TITLES[most],
        f"{whole(by[most].failed)}, {percent(by[most].failed / present.failed, places=0)} of all",
    ]
    assert tiles["Features that failed"] == [whole(len(failing)), f"of {len(by)} that were used"]
    daily = journal.ends(now, "day", "error")
    count = lambda d, kind: whole(daily[d, kind].uses if (d, kind) in daily else 0)  # noqa: E731
    assert column(page["By kind of failure"], *NAMES.values()) == [
        [day(d), *(count(d, kind) for kind in NAMES)] for d in journal.days(30)
    ]
    past, kinds = journal.ends(before, "event"), journal.ends(now, "event", "error")
    rows = {row["Feature"]: row for row in page["Where it fails, and how"]}
    assert rows.keys() == {TITLES[event] for event in failing}
    for event, of in failing.items():
        row = rows[TITLES[event]]
        assert row["Failures"] == whole(of.failed)
        assert row["Failed"].endswith(percent(of.share))
        then = past[event].share if event in past else None
        assert row["Against before"] == (DASH if then is None else points(of.share - then))
        for kind, name in NAMES.items():
            assert row[name] == (whole(kinds[event, kind].uses) if (event, kind) in kinds else "·")


def test_speed(shown, uses, report):
    page = shown("/speed")
    told = {r["event"]: r for r in report("latency", by="event", **since())}
    rows = {row["Event"]: row for row in page["Every feature"]}
    assert rows.keys() == told.keys()
    measured = [use for use in uses if use.ms is not None]
    numbers = journal.ends(measured, "event")
    for event, of in told.items():
        heads = zip(("Half within", "p95", "p99"), MEASURED, strict=True)
        assert all(rows[event][head] == duration(of[m]) for head, m in heads)
        assert rows[event]["Measured uses"] == whole(numbers[event].uses)
        slowest = sorted(use.ms for use in measured if use.event == event)
        assert of["p50_ms"] == pytest.approx(slowest[len(slowest) // 2], rel=0.06, abs=60)
    most = sorted(told, key=lambda event: -told[event]["observations"])[:6]
    daily = {
        (r["day"], r["event"]): r["p95_ms"] for r in report("latency", by="day,event", **since())
    }
    assert column(page["Most measured"], *(TITLES[event] for event in most)) == [
        [
            day(d),
            *(duration(daily[k]) if (k := (f"{d}", e)) in daily else "not known" for e in most),
        ]
        for d in journal.days(30)
    ]


def test_groups(shown, report):
    page = shown("/groups")
    _, rows = seeded.uses()
    guilds = {}
    for at, _, _, more in rows:
        if "guild_id" in more:
            date = dt.datetime.fromtimestamp(at / 10**6, dt.UTC).date()
            guilds.setdefault(date, set()).add(more["guild_id"])
    told = {row["day"]: row["active"] for row in report("groups", **since())}
    known = {d: len(guilds[d]) for d in guilds if f"{d}" in told}
    assert len(known) >= seeded.OBSERVED - 1
    assert {f"{d}": number for d, number in known.items()} == {
        d: number for d, number in told.items() if number is not None
    }
    assert column(page["Guilds"], "Guilds") == [
        [day(d), whole(known[d]) if d in known else "not known"] for d in journal.days(30)
    ]
    adoption = [row for row in report("features") if row["adoption"] is not None]
    assert column(page["Adoption"], "Adoption") == [
        [TITLES[row["event"]], percent(row["adoption"], places=1)]
        for row in sorted(adoption, key=lambda row: -row["adoption"])
    ]


def test_trust(shown, uses, report):
    deadline = time.monotonic() + 60
    while {row["task"] for row in report("housekeeping")} != TASKS.keys():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page = shown("/trust")
    missing = dict.fromkeys(journal.days(30), 0)
    number = lambda ago: len({  # noqa: E731  # of each of its senders three were counted too many
        (use.event, use.service, use.version) for use in uses
        if use.day == TODAY - dt.timedelta(days=ago) and use.event != seeded.UNTALLIED
    })  # fmt: skip
    missing[TODAY - dt.timedelta(days=16)] = 3 * number(16)
    assert column(page["Not stored, by day"], "Not stored") == [
        [day(d), whole(missing[d])] for d in journal.days(30)
    ]
    lost = {row["reason"]: row["count"] for row in report("losses", by="reason", **since())}
    assert lost == {"undeclared_event": 17, "enum_value": 21, "expired_event": 376}
    assert {row["Reason"]: row["Count"] for row in page["Losses, each with its reason"]} == {
        reason: whole(count) for reason, count in lost.items()
    }
    by = {row["event"]: row for row in report("completeness", by="event", **since())}
    for row in page["Least complete"]:
        of = by[next(event for event, title in TITLES.items() if title == row["Feature"])]
        stored = of["stored"] - of["surplus"]
        share = f"{rounded(stored * 1000 // of['emitted'] / 10, 1)}\N{NARROW NO-BREAK SPACE}%"
        assert [row["Counted"], row["Stored"], row["Complete"]] == [
            whole(of["emitted"]), whole(stored), share,
        ]  # fmt: skip
    assert [row["Task"] for row in page["Housekeeping"]] == sorted(TASKS.values())


def test_catalog(shown, uses, report):
    page = shown("/catalog")
    came = journal.ends(uses, "event")
    rows = {row["Event"]: row for row in page["Events"]}
    assert len(rows) == len(TITLES)
    told = {row["event"]: row for row in report("catalog")}
    for event, title, surface, owner, *_ in seeded.FEATURES:
        row = rows[event]
        assert [row["Feature"], row["Surface"], row["Owner"]] == [title, surface, owner or "nobody"]
        number = came[event].uses if event in came else 0
        assert row["Came"] == whole(number) == whole(told[event]["count"])
