"""What the panels of groups, sessions, ratings and the pipeline show, of the same data."""

import datetime as dt
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import yaml

from grafana.expected import Figures, Row, midnight, on_day, takes
from grafana.known import CATALOG, DAY, NONE, SHOP, START, TODAY, Known
from grafana.panels import View
from grafana.stored import (
    ALERTS,
    DECLARED,
    GROUPS,
    INVENTORY,
    KEPT,
    PUBLISHED,
    RATINGS,
    REFUSED,
    RULES,
    SESSIONS,
    SOON,
)

FEWEST = 5
"""What others than the operator do not see numbers below."""
LENGTHS = {
    0: "0:00:00 to 0:00:30",
    4: "0:01:00 to 0:05:00",
    20: "0:15:00 to 1:00:00",
    90: "1:00:00 to 4:00:00",
}
"""What the lengths of the sessions that are known are called, in minutes."""
DECLARATIONS = {
    event: {"product": catalog["product"], "title": _title, **declared}
    for catalog in (yaml.safe_load(file.read_text()) for file in (CATALOG, SHOP))
    for event, declared in catalog["events"].items()
    for _title in (declared["feature"].replace("_", " ").capitalize(),)
}
"""Each event, as its catalog says."""


def in_catalog(view: View, *names: str) -> dict[str, dict[str, Any]]:
    """The events that the variables choose."""
    return {
        event: declared
        for event, declared in DECLARATIONS.items()
        if all(takes(view, name, declared[name]) for name in names)
    }


def verdict(event: str) -> str | None:
    """As the tests have told housekeeping: what it says itself is tested with the view."""
    if event not in INVENTORY:
        return None
    return str(INVENTORY[event][7]) if INVENTORY[event][0] else "unused"


def verdicts(data: Known, view: View) -> list[Row]:
    events = in_catalog(view, "product", "surface", "feature")
    return list(Counter(verdict(event) or "not yet looked at" for event in events).items())


def inventory(data: Known, view: View) -> list[Row]:
    found = []
    for event, said in in_catalog(view, "product", "surface", "feature").items():
        uses, before, low, high, ends, bad, p95, _ = INVENTORY.get(event, (None,) * 8)
        adopted = (6, 0.5) if event == "discord.generator" else (None, None)
        found.append((
            said["title"], verdict(event), said["product"], said["surface"], said["feature"], uses,
            uses / before - 1 if before else None, low and low - 1, high and high - 1,
            bad / ends if ends else None, p95, *adopted, (uses is not None and START + DAY) or None,
            said.get("owner"),
        ))  # fmt: skip
    return found


def needs_a_look(data: Known, view: View) -> list[Row]:
    found = []
    for event, said in in_catalog(view, "product", "surface", "feature").items():
        if verdict(event) in ("fading", "unused"):
            uses, before, *_ = INVENTORY[event]
            change = uses / before - 1 if before else None  # type: ignore[operator]
            found.append(
                (
                    verdict(event),
                    said["title"],
                    said["feature"],
                    said.get("owner"),
                    uses,
                    change,
                    START + DAY,
                    said.get("expires"),
                )
            )
    return found


def declared(data: Known, view: View) -> list[Row]:
    return [
        (
            event,
            said["title"],
            said.get("description"),
            said.get("owner"),
            ", ".join(said.get("actions", ["invoke", "success", "failure"])),
            said.get("expires"),
            True,
            DECLARED,
        )
        for event, said in in_catalog(view, "product", "surface", "feature").items()
    ]


def alerts(data: Known, view: View) -> list[Row]:
    return [
        (what, sure, since, rule, product or None, silenced if silenced == SOON else None)
        for rule, product, _, firing, since, silenced, what, sure in ALERTS
        if firing and (not product or takes(view, "product", product))
    ]


def alert_rules(data: Known, view: View) -> list[Row]:
    return [(rule, at, took, said, said != "looked", True) for rule, at, took, said in RULES]


# groups


def shown(number: int) -> int | None:
    return number if number >= FEWEST else None


def groups(data: Known, key: Callable[[Any], tuple[Any, ...]]) -> dict[tuple[Any, ...], int | None]:
    """Distinct groups of each day and whatever else."""
    active = defaultdict(set)
    for use in data.uses:
        if use.group is not None and use.observed:
            attribute = "org_id" if use.product == "shop" else "guild_id"
            active[use.day, *key(use), attribute].add(use.group)
    return {of: shown(len(found)) for of, found in active.items()}


def scoped(data: Known, view: View) -> dict[tuple[Any, ...], int | None]:
    """Of the store, or of each product that is chosen: by day and name."""
    products = view.chosen.get("product")
    if not products:
        return groups(data, lambda use: ())
    found = groups(data, lambda use: (use.product,))
    return {
        (day, f"{product} · {attribute}"): number
        for (day, product, attribute), number in found.items()
        if product in products
    }


def groups_by_day(data: Known, view: View) -> list[Row]:
    found = scoped(data, view)
    return [(midnight(day), name, n) for (day, name), n in found.items() if on_day(day, view)]


def groups_latest(data: Known, view: View) -> list[Row]:
    latest = {name: n for _, name, n in sorted(groups_by_day(data, view), key=lambda row: row[:2])}
    return list(latest.items())


def groups_by_feature(data: Known, view: View) -> list[Row]:
    found = groups(data, lambda use: (use.product, use.feature))
    return [
        (midnight(day), f"{feature} · {attribute}", number)
        for (day, product, feature, attribute), number in found.items()
        if on_day(day, view) and takes(view, "product", product) and takes(view, "feature", feature)
    ]


def depth(data: Known, view: View) -> list[Row]:
    """Mean, median and p90 of how many features a group used, unless fewer than five are behind it."""
    products = view.chosen.get("product")
    used, by_feature = defaultdict(set), defaultdict(set)
    for use in data.uses:
        if use.group is not None and use.observed and (not products or use.product in products):
            attribute = "org_id" if use.product == "shop" else "guild_id"
            cell = use.day, use.product if products else None, attribute
            used[cell, use.group].add((use.product, use.feature))
            by_feature[cell, use.product, use.feature].add(use.group)
    found = []
    for day, product, attribute in {cell for cell, _ in used}:
        mine = sorted(len(f) for (c, _), f in used.items() if c == (day, product, attribute))
        known = all(
            shown(len(who)) for (c, *_), who in by_feature.items() if c == (day, product, attribute)
        )
        figures: dict[str, float | None] = {"mean": statistics.fmean(mine)}
        if not known or len(mine) < FEWEST:
            figures["mean"] = None
        for name, share in (("median", 0.5), ("p90", 0.9)):
            value = mine[math.ceil(share * len(mine)) - 1]
            behind = min(sum(n >= value for n in mine), sum(n <= value for n in mine))
            figures[name] = value if shown(behind) else None
        found += [
            (midnight(day), " · ".join(filter(None, (product, attribute, name))), value)
            for name, value in figures.items()
            if on_day(day, view)
        ]
    return found


def periods(data: Known, view: View) -> list[Row]:
    found = []
    for span, scope, attribute, product, _, _, number, reason in GROUPS:
        wanted = "product" if view.chosen.get("product") else "all"
        if scope == wanted and (scope == "all" or takes(view, "product", product)):
            name = " · ".join(filter(None, (product, attribute)))
            few = number is not None and shown(number) is None
            found.append(
                (span, START.date(), name, number and shown(number), "few" if few else reason)
            )
    return found if on_day(START.date(), view) else []


def adoption(data: Known, view: View) -> list[Row]:
    events = in_catalog(view, "product", "surface", "feature")
    said = events.get("discord.generator")
    return [(said["title"], "generator", 6, "week", 0.5)] if said else []


def unknown_groups(data: Known, view: View) -> list[Row]:
    every = Counter[tuple[str, str]]()
    scopes: tuple[Callable[[Any], tuple[Any, ...]], ...] = (
        lambda use: (use.product,),
        lambda use: (use.product, use.feature),
        lambda use: (use.product, use.feature, use.event),
    )
    counts = [of for scope in scopes for of in groups(data, scope).items()]
    if not view.chosen.get("product"):
        counts += [((day, None, a), n) for (day, a), n in groups(data, lambda use: ()).items()]
    for (day, product, *_), number in counts:
        if (
            number is None
            and on_day(day, view)
            and (product is None or takes(view, "product", product))
        ):
            every["few", "day"] += 1
    for span, _, _, product, _, _, number, reason in GROUPS:
        hidden = number is None or shown(number) is None
        if hidden and on_day(START.date(), view) and takes(view, "product", product or None):
            every[reason or "few", span] += 1
    return [(*key, n) for key, n in every.items()]


# sessions


def sessions(view: View) -> list[tuple[Any, ...]]:
    return [
        (opened.date(), *session)
        for session in SESSIONS
        for service, opened in [(session[0], session[1])]
        if on_day(opened.date(), view) and takes(view, "service", service or NONE)
    ]


def sessions_together(data: Known, view: View) -> list[Row]:
    found = [60 * minutes for _, _, _, minutes, *_ in sessions(view)]
    return [(len(found), sum(found) / len(found) if found else 0)]


def sessions_by_day(data: Known, view: View) -> list[Row]:
    points = Counter[tuple[Any, ...]]()
    for day, _, _, minutes, _, acted, _ in sessions(view):
        points[midnight(day), "sessions"] += 1
        points[midnight(day), "installations"] += 1
        points[midnight(day), "daily active"] += bool(acted and minutes)
    return [(*key, n) for key, n in points.items()]


def lengths(data: Known, view: View) -> list[Row]:
    names = {
        0: "0:00:00 to 0:00:30",
        4: "0:01:00 to 0:05:00",
        20: "0:15:00 to 1:00:00",
        90: "1:00:00 to 4:00:00",
    }
    return [(names[minutes], 1, 60 * minutes) for _, _, _, minutes, *_ in sessions(view)]


def concurrent(data: Known, view: View) -> list[Row]:
    """Of each hour that the range touches the most that were open at once: here never two."""
    found = []
    hour = view.start.replace(minute=0, second=0, microsecond=0)
    while hour <= view.end:
        if dt.timedelta() < dt.datetime.now(dt.UTC) - hour <= 8 * DAY:
            there = [
                s for s in SESSIONS
                if s[1] < hour + dt.timedelta(hours=1) and s[1] + dt.timedelta(minutes=s[2]) > hour and s[2]
            ]  # fmt: skip
            found.append((hour, "sessions", len(there)))
        hour += dt.timedelta(hours=1)
    return found


def time_open(data: Known, view: View) -> list[Row]:
    if not takes(view, "product", "shop"):
        return []
    every = [(s[1].date(), s[5]) for s in SESSIONS if s[5] and on_day(s[1].date(), view)]
    return [("shop.order", len(every), len(every), sum(n for _, n in every))] if every else []


# ratings


def seen_ratings(view: View) -> dict[Any, tuple[int, ...]]:
    return {k: s for k, s in RATINGS.items() if len(s) >= FEWEST and on_day(k[0], view)}


def ratings_by_day(data: Known, view: View) -> list[Row]:
    points = defaultdict(list)
    for (day, _, _, source), stars in seen_ratings(view).items():
        points[midnight(day), source] += stars
    return [(*of, sum(stars) / len(stars)) for of, stars in points.items()]


def ratings(data: Known, view: View) -> list[Row]:
    prompts = defaultdict(list)
    for (_, prompt, version, _), stars in seen_ratings(view).items():
        prompts[prompt, version or NONE] += stars
    return [
        (*of, len(stars), sum(stars) / len(stars), *(stars.count(n) for n in range(1, 6)))
        for of, stars in prompts.items()
    ]


# the pipeline


def tallied(data: Known, view: View) -> dict[tuple[dt.date, str], tuple[int, ...]]:
    """Of each day and event: sent, stored of senders that keep a tally, surplus, not tallied."""
    keeping = {(event, sender) for _, event, sender in data.emitted}
    stored = Counter((use.day, use.event, use.sender) for use in data.uses)
    found = defaultdict(lambda: (0, 0, 0, 0))
    for day, event, sender in stored.keys() | data.emitted.keys():
        product = "shop" if event.startswith("shop.") else "sahasrahbot"
        if on_day(day, view) and takes(view, "product", product):
            sent, here = data.emitted[day, event, sender], stored[day, event, sender]
            keeps = (event, sender) in keeping
            one = (sent, here, max(here - sent, 0), 0) if keeps else (0, 0, 0, here)
            found[day, event] = tuple(map(sum, zip(found[day, event], one, strict=True)))  # type: ignore[assignment]
    return found  # type: ignore[return-value]


def completeness(data: Known, view: View) -> list[Row]:
    figures = tallied(data, view).values()
    sent = sum(each[0] for each in figures)
    return [(sum(each[1] for each in figures) / sent if sent else None,)]


def completeness_by_day(data: Known, view: View) -> list[Row]:
    days = defaultdict(list)
    for (day, _), figures in tallied(data, view).items():
        days[day].append(figures)
    sums = {day: (sum(f[0] for f in each), sum(f[1] for f in each)) for day, each in days.items()}
    return [
        (midnight(day), "completeness", stored / sent)
        for day, (sent, stored) in sums.items()
        if sent
    ]


def completeness_by_event(data: Known, view: View) -> list[Row]:
    events: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (_, event), figures in tallied(data, view).items():
        events[event] = [a + b for a, b in zip(events[event], figures, strict=True)]
    return [
        (event, sent, stored, stored / sent if sent else None, surplus, untallied)
        for event, (sent, stored, surplus, untallied) in events.items()
    ]


def lost(data: Known, view: View) -> Counter[tuple[dt.date, str, str]]:
    today = {(TODAY.date(), *key): count for key, count in data.losses.items()}
    every = Counter(today) + data.lost_before
    for day, signal, reason, _, _, count in REFUSED:
        if reason != "admission":  # what comes again is no loss
            every[day, signal, f"refused_{reason}"] += count
    return Counter({key: count for key, count in every.items() if on_day(key[0], view)})


def losses_by_reason(data: Known, view: View) -> list[Row]:
    points = Counter[tuple[Any, ...]]()
    for (day, _, reason), count in lost(data, view).items():
        points[midnight(day), reason] += count
    return [(*key, n) for key, n in points.items()]


def losses(data: Known, view: View) -> list[Row]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, dt.date.min])
    for (day, signal, reason), count in lost(data, view).items():
        n, last = found[signal, reason]
        found[signal, reason] = [n + count, max(last, day)]
    return [(*key, *figures) for key, figures in found.items()]


def refused(data: Known, view: View) -> list[Row]:
    return [
        (signal, reason, key or None, service or None, reason == "admission", n)
        for day, signal, reason, key, service, n in REFUSED
        if on_day(day, view)
    ]


def retention(data: Known, view: View) -> list[Row]:
    return [(what, p or "every", e or "every", days) for what, p, e, days in KEPT]


def published(data: Known, view: View) -> list[Row]:
    return [
        (day, product, "Orders" if event else "others together", n)
        for day, product, event, n in PUBLISHED
        if on_day(day, view) and takes(view, "product", product)
    ]


REST: dict[str, Figures] = {
    "Events by verdict": verdicts,
    "Inventory": inventory,
    "Needs a look": needs_a_look,
    "In the catalog": declared,
    "Active groups, latest day": groups_latest,
    "Active groups per day": groups_by_day,
    "Groups per day": groups_by_feature,
    "Groups per day, by feature": groups_by_feature,
    "Adoption": adoption,
    "Alerts": alerts,
    "Rules of alerts": alert_rules,
    "Features per group and day": depth,
    "Weeks and months": periods,
    "Numbers of groups that are not there": unknown_groups,
    "Sessions": sessions_together,
    "Now": lambda data, view: [(0, 0)],
    "Sessions per day": sessions_by_day,
    "Most sessions at once, per hour": concurrent,
    "Lengths of sessions": lengths,
    "Time open": time_open,
    "Average rating per day": ratings_by_day,
    "Ratings by prompt": ratings,
    "Completeness": completeness,
    "Completeness per day": completeness_by_day,
    "Completeness by event": completeness_by_event,
    "Losses": lambda data, view: [(lost(data, view).total(),)],
    "Losses per day, by reason": losses_by_reason,
    "Losses by reason": losses,
    "Refused requests": lambda data, view: [
        (sum(row[5] for row in REFUSED if on_day(row[0], view)),)
    ],
    "Refused requests, by sender": refused,
    "Kept for how long": retention,
    "Published": published,
    "Erased on request": lambda data, view: [(0,)],
}
"""Panels of everything else but what depends on the clock: "Last commit", and housekeeping's."""
