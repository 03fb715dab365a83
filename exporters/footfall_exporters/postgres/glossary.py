"""What each column of the reporting views says: the comments that psql and other clients show beside it."""

from collections.abc import Mapping, Sequence
from typing import Final

import psycopg
from psycopg import sql

SHARED: Final = {
    "surface": "Where it was used (web, api, bot, ...), as the catalog says of the event",
    "feature": "The feature that the event belongs to, as the catalog says",
    "event": "The event's name in the catalog",
    "action": "What was done, one of the event's actions; invoke and start are beginnings, not ends",
    "status": "How it ended: ok, error, timeout or denied",
    "error_type": "Why it did not end well, as the catalog lists; NULL where it did, or nobody said why",
    "service": "Who sent it: the service's name; NULL where none was given, or it was not kept",
    "service_version": "The service's version; NULL where none was given, or it was not kept",
    "environment": "production, test, ...; NULL where none was given, or it was not kept",
}
"""Columns that say the same in every view."""
OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "alerts": {
        "rule": "The rule that found it",
        "product": "Of which product; NULL: of the whole store",
        "subject": "Which event, task, subscriber, reason or listener; NULL: the product, or the store",
        "firing": "Whether it was found in enough looks in a row to be an alert",
        "since": "Since when it is so",
        "fired_at": "When it became an alert; NULL: it is none yet",
        "silenced_until": "Until when nobody is told; NULL: people are",
        "what": "What is so, in one sentence",
        "sure": "How sure that is",
    },
    "alert_rules": {
        "rule": "The rule's name",
        "looked_at": "When a collector last looked at it",
        "took_ms": "How long that took, in milliseconds",
        "outcome": "How it went: looked, or failed and why",
        "failing": "Whether it could not be looked at",
        "overdue": "Whether nobody has looked for five minutes",
    },
    "events": {
        "event_id": "Of this row alone; says nothing of who sent it, or with what",
        "created_at": "When it happened, UTC, cut to the second, or as the configuration says (event_time)",
        "day_bucket": "The day of that, UTC",
        "event_name": "event and action, joined by a dot",
        "duration_ms": "How long it took, in milliseconds; NULL where it has no duration",
        "sample_rate": "The share of such uses that is sent as observations, up to 1; no count needs it",
        "quantity": "How many uses the row stands for: 1, or what a client of the HTTP API counted, up to 50",
    },
    "annotations": {
        "kind": "note: an operator has said so; version: a version of a service was first seen",
        "id": "By which footfall annotate removes it; NULL for a version",
        "at": "When it happened; of a version the hour in which it was first used, by its beginning, UTC",
        "product": "To which product it happened; NULL: to all, or it is a version",
        "service": "Whose version it is; NULL for a note, and where none was given",
        "environment": "Where it was first seen; NULL for a note, and where none was given",
        "version": "Which version it is, or came with; NULL: none was given",
        "text": "What happened, in the operator's words; of a version its service and itself",
    },
    "attributes": {
        "product": "The product in whose catalog it is",
        "attribute": "The attribute's name in the catalog",
        "holds": "What it holds: enum, number, boolean, hash, identifier (a UUID) or text",
        "lasts": "For how long equal hashes stay equal: daily, weekly, monthly or static; NULL: it is none",
        "names": "If it could name somebody: no, pseudonym (it stands for one), maybe (text, any number)",
        "description": "What the catalog says of it; NULL where it says nothing",
    },
    "backends": {
        "backend": "The subscriber's id in the configuration",
        "behind": "How many commits it has not taken: 0 where it has all",
        "waiting_since": "When the oldest of them was, by Postgres' clock; NULL where there is none",
        "refused": "How many requests its backend refused for good, and nobody has brought since",
        "moved_at": "When it last took something, by Postgres' clock",
    },
    "catalog": {
        "product": "The product in whose catalog it is",
        "title": "What people call it: its title in the catalog, or its feature as words",
        "description": "What the catalog says of it; NULL where it says nothing",
        "owner": "Who answers for it; NULL where the catalog names nobody",
        "actions": "What may be said about it",
        "expires": "The last day (UTC) on which it is accepted; NULL where there is none",
        "declared": "Whether the catalog still had it when a collector last read it",
        "first_declared": "When a collector first read it",
        "last_declared": "When a collector last read it",
        "version": "The fingerprint of the catalog in which it was last read",
        "count": "How many times it came, whatever the action, in all that is kept; 0: never",
        "last_used": "The hour in which it last came, by its beginning, UTC; NULL: never",
    },
    "features": {
        "product": "The product in whose catalog it is",
        "title": "What people call it: its title in the catalog, or its feature as words",
        "owner": "Who answers for it; NULL where the catalog names nobody",
        "expires": "The last day (UTC) on which it is accepted; NULL where there is none",
        "last_day": "The last day (UTC) that is counted; NULL here and in what follows: not yet looked at",
        "days": "How many days are counted, and how many before them: 28, or 14 or 21 of what is young",
        "uses": "How often it was used in these days; beginnings (invoke, start) do not count",
        "uses_before": "How often in as many days before them",
        "change": "By what share that is more, or less: 0.5 is half as much again; NULL: none before",
        "change_low": "The lower end of the 95 % interval of that, bursts left aside; NULL: too few came",
        "change_high": "Its upper end",
        "failures": "Of what ended in the last 28 days (success, failure), the share that did not end well",
        "failures_low": "The lower end of the 95 % interval of that (Wilson's), were there chance alone",
        "failures_high": "Its upper end",
        "p95_ms": "95 % of its durations in the last 28 days were no longer, in milliseconds",
        "first_used": "The hour in which it first came, by its beginning, UTC, of all that is kept",
        "last_used": "The hour in which it last came, up to the last day",
        "active_groups": "How many groups used it in the last week that is counted; NULL: it is not known",
        "active_per": "What that is of: the week, or (day) its average day, where the hash allows no week",
        "adoption": "Their share of all groups that used the product then",
        "verdict": "new, growing, steady, fading, unused, expiring, expired or too few to tell",
    },
    "releases": {
        "service": "Whose versions they are",
        "former": "The version that came before the newest one",
        "version": "The version that came last",
        "ends_before": "How many ended in the former one, from 28 days before the newer one on",
        "ends": "How many ended (success, failure) in the newer one",
        "failed_before": "Which share of the former version's failed; NULL: none ended",
        "failed": "Which share of the newer one's failed; NULL: none ended",
        "difference": "By how much more that is; NULL here and in what follows: too few ended",
        "low": "The lower end of that, however often somebody looks",
        "high": "Its upper end",
        "verdict": "fails more, fails less, no difference seen or too few to tell",
        "p95_before_ms": "95 % of the former version's durations were no longer, in milliseconds",
        "p95_ms": "95 % of the newer one's were no longer, in milliseconds",
        "uses_per_group_before": "How often an active group ended it on a day, before; NULL: not known",
        "uses_per_group": "The same in the newer one",
        "speed": "slower, faster, no difference seen or too few to tell; NULL: not measured in both",
        "made_at": "When it was compared",
        "environment": "In which environment; NULL: in all of them together",
    },
    "usage": {
        "hour": "The hour in which it happened, by its beginning, UTC",
        "count": "How many times: exact, whatever is sampled",
    },
    "usage_by_day": {
        "day": "The day on which it happened, UTC",
        "count": "How many times: exact, whatever is sampled",
        "hours": "The same by the hour, 20 decimal digits each (docs/adr/0043): sum() adds them",
    },
    "latency": {
        "day": "The day on which it happened, UTC",
        "observations": "How many observations had a duration",
        "p50_ms": "Half of them took no longer: the median, in milliseconds",
        "p95_ms": "95 % of them took no longer, in milliseconds",
        "p99_ms": "99 % of them took no longer, in milliseconds",
    },
    "durations": {
        "day": "The day on which it happened, UTC",
        "observations": "How many observations had a duration",
        "histogram": "These durations, 12 decimal digits for each bucket (docs/adr/0034): sum() adds them",
    },
    "durations_by_hour": {
        "hour": "The hour in which it happened, by its beginning, UTC",
        "observations": "How many observations had a duration",
        "histogram": "These durations, 12 decimal digits for each bucket (docs/adr/0034): sum() adds them",
    },
    "active_groups": {
        "day": "The day on which they were active, UTC",
        "attribute": "Which attribute of the catalog was counted, such as guild_id",
        "groups": "How many distinct values it had; NULL: fewer than five (not for the operator), or unknown",
    },
    "published": {
        "day": "The day on which it was used, UTC",
        "product": "The product in whose catalog it is",
        "title": "What people call it; NULL, as event, surface and feature then: events of few, together",
        "count": "How often it was used, as was known six hours after the day's end; this never changes",
    },
    "published_days": {
        "day": "A day that is published, UTC; what it has no row of was used by nobody, or by too few",
        "product": "The product in whose catalog the events are",
        "k": "How many distinct groups or actors are at least behind each figure of the day",
    },
    "groups": {
        "period": "How long it is: day, week (from Monday on) or month",
        "day": "Its first day, UTC",
        "attribute": "Which attribute of the catalog was counted, such as guild_id",
        "scope": "What they used: all, or one product, feature or event",
        "product": "Which product; NULL: of all, or no catalog was known that declares it",
        "groups": "How many distinct values there were; NULL where that is not known, or not shown",
        "reason": "Why not: salt_period, salt_lost, hash_changed, dropped, few. sampled: at least so many",
    },
    "depth": {
        "day": "The day on which they were active, UTC",
        "attribute": "Which attribute of the catalog was counted, such as guild_id",
        "scope": "Whose features: all, or those of one product",
        "product": "Which product; NULL: of all, or no catalog was known that declares it",
        "groups": "How many distinct values used a feature; NULL, as what follows: not known, or not shown",
        "mean": "How many different features each of them used, on average",
        "median": "Half of them used no more features than this",
        "p90": "90 % of them used no more features than this",
        "groups_1": "How many used one feature",
        "groups_2_3": "How many used two or three",
        "groups_4_7": "How many used four to seven",
        "groups_8_up": "How many used eight or more",
        "reason": "Why not: salt_lost, hash_changed, dropped, few. sampled: so many features at least",
    },
    "losses": {
        "day": "The day on which it was noticed, UTC",
        "signal": "traces, metrics, logs, spool, unknown; sdk: in the application; subscriber: at a backend",
        "reason": "Why: docs/losses.md explains each",
        "count": "How many events, attributes, or (refused_...) whole requests",
    },
    "refused": {
        "day": "The day on which they came, UTC",
        "signal": "traces, metrics, logs, or unknown",
        "reason": "Why: docs/losses.md explains each, as refused_...",
        "key": "The name of the sender's key; NULL where none is known",
        "service": "The service that they spoke for; NULL where nothing of it is stored",
        "comes_again": "Whether the sender was told to try again: no loss then, if it does",
        "requests": "How many",
    },
    "ratings": {
        "day": "The day on which they were given, UTC",
        "prompt": "Which prompt: a keyed hash of its id, or the id where the catalog says so",
        "version": "The prompt's version; NULL where none was given",
        "source": "After what it was rated: copy, duplicate, manual or other",
        "ratings": "How many; NULL, as all that follows: fewer than five (not for the operator)",
        "average": "Their average, of 1 to 5 stars",
        "stars_1": "How many gave one star",
        "stars_2": "How many gave two stars",
        "stars_3": "How many gave three stars",
        "stars_4": "How many gave four stars",
        "stars_5": "How many gave five stars",
    },
    "housekeeping": {
        "task": "Which one: docs/housekeeping.md explains each",
        "every_s": "How often it is due, in seconds",
        "last_run": "When it last began, by Postgres' clock",
        "last_success": "When the last run began that succeeded; NULL before the first",
        "duration_ms": "How long the last run took, in milliseconds",
        "next_run": "When it is due again",
        "outcome": "What the last run did, in a few words; of a failure its kind",
        "failing": "Whether the last run failed",
        "overdue": "Whether it should have run more than five minutes ago",
    },
    "sessions": {
        "day": "The day on which they began, UTC",
        "sessions": "How many began",
        "ended": "How many of them said that they end; the others fell silent, or go on",
        "installations": "Of how many installations they were; a session without one counts as its own",
        "daily_active": "How many of these opened, did one other thing, and were heard of 30 s later or more",
        "seconds": "How long they took together, each up to its last sign of life",
    },
    "sessions_alive": {
        "sessions": "How many go on now",
        "users": "Of how many installations they are; a session without one counts as its own",
    },
    "concurrent": {
        "hour": "The hour, by its beginning, UTC",
        "most": "The most sessions that were open at the same moment of it",
    },
    "time_open": {
        "day": "The day on which the sessions began, UTC",
        "sessions": "In how many sessions it was opened or closed",
        "opened": "How often it was opened in them",
        "seconds": "How long at least one of it was open in them, in total",
    },
    "completeness": {
        "stored": "What is stored of the senders that keep a tally of this event",
        "emitted": "What these senders counted",
        "ratio": "stored / emitted, as it is: 1 is all; NULL without a tally",
        "untallied": "What is stored of senders that keep no tally, which says nothing of completeness",
        "surplus": "By how much more is stored of a sender than it counted, summed over the senders",
    },
    "completeness_by_day": {
        "day": "The day on which they were, or were tallied, UTC",
        "stored": "What is stored of the senders that keep a tally of this event",
        "emitted": "What these senders counted",
        "ratio": "stored / emitted, as it is: 1 is all; NULL without a tally",
        "untallied": "What is stored of senders that keep no tally, which says nothing of completeness",
        "surplus": "By how much more is stored of a sender than it counted, summed over the senders",
    },
    "session_lengths": {
        "day": "The day on which they began, UTC",
        "length": "How long they took, in hours, minutes and seconds; the upper bound is not in it",
        "sessions": "How many",
        "seconds": "How long they took together",
    },
    "freshness": {
        "position": "How many commits of what senders sent there were: it grows with all that is stored",
        "committed_at": "When the last of them was, by Postgres' clock; NULL: none within what is kept",
        "erased": "How much was erased because whoever has its receipt asked for it",
        "observed_from": "The first day, UTC, of which all observations are stored; NULL: none were deleted",
    },
    "retention": {
        "what": "What is kept: observations, ratings, sessions, counts, ...",
        "product": "The product of whose events it is true; NULL: of every other as well",
        "environment": "The environment in which they were made; NULL: of every other as well",
        "kept": "For how long, from the end of the day on, or from when it came",
    },
}
_COLUMNS = """
    SELECT c.relname, a.attname, col_description(c.oid, a.attnum), k.attribute, k.description
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN footfall.catalog_columns k ON k.column_name = a.attname
    WHERE c.relnamespace = to_regnamespace('reporting') AND c.relname = ANY(%s)
    AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum
"""


def comment(connection: psycopg.Connection, views: Sequence[str]) -> None:
    """Has every column of the views say what it is, where that is not what it says yet.

    Readers need not wait for it, nor it for them: that is why the views are not made anew for a word.

    Args:
        connection: As the owner of the views.
        views: Their names, in schema `reporting`.
    """
    for view, name, said, attribute, description in connection.execute(_COLUMNS, [list(views)]):
        words = OWN[view].get(name) or SHARED.get(name) or _of_catalog(attribute, description)
        if words != said:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                    sql.Identifier("reporting", view, name), words
                )
            )


def _of_catalog(attribute: str, description: str) -> str:
    """What the catalog itself says of one of its attributes."""
    return f"Attribute {attribute} of the catalog" + (f": {description}" if description else "")
