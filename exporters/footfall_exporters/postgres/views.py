"""The `reporting` schema: what an operator, Grafana and the reports may read (ADR 2, ADR 22).

Plain columns, exact counts, distinct counts; never an identity column, hashed or not. The views are made
anew when the catalog changes, because its enums and values are columns of theirs; the comment of the schema
says which they are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from footfall_exporters.postgres import glossary
from footfall_exporters.postgres.daily import OF_HOURS, STALE
from footfall_exporters.postgres.erasing import ERASED
from footfall_exporters.postgres.holding import SchemaConflict
from footfall_exporters.postgres.latency import HOURS, UNFILLED
from footfall_exporters.postgres.publishing import OTHER
from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.refused import BY_STORE, COME_AGAIN

READER = "footfall_reader"
"""The role that may read `reporting` and nothing else."""
PUBLIC = "footfall_public"
"""The role that may read what is published, and nothing else."""
_VERSION = "Footfall's views, version "

_VIEWS: dict[str, tuple[str, str]] = {
    "events": (
        "One row per stored observation; created_at is cut, event_id is the row's alone."
        " Compared with constants, created_at and day_bucket read only the days that are asked for",
        """
        SELECT left(encode(sha256({row_key} || int8send(e.batch_id) || int4send(e.ordinal)), 'hex'), 32)
                   AS event_id,
               {created_at} AS created_at, {day} AS day_bucket,
               d.event || '.' || d.action AS event_name,
               d.surface, d.feature, d.action, d.status, e.duration_ms, d.error_type, e.sample_rate,
               e.quantity, d.event, d.service, d.service_version, d.environment{dims}{values}
        FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id
        WHERE d.surface <> 'footfall'
        """,
    ),
    "catalog": (
        "One row per event that a catalog declares or declared, with what came of it in all: 0 where"
        " nobody has used it",
        """
        SELECT product, event, title, nullif(description, '') AS description, nullif(owner, '') AS owner,
               surface, feature, actions, expires, declared, first_declared, last_declared, version,
               coalesce(count, 0)::bigint AS count, last_used
        FROM footfall.catalog_events LEFT JOIN (
            SELECT d.event, sum(c.count) AS count, max(c.hour) AS last_used
            FROM (
                SELECT dim_id, sum(count) AS count, max(hour) AS hour
                FROM footfall.feature_counts GROUP BY dim_id
            ) AS c JOIN footfall.feature_dims d ON d.id = c.dim_id GROUP BY d.event
        ) AS used USING (event)
        """,
    ),
    "features": (
        "The inventory: one row per declared event with what came of it in the last days (UTC) that are over,"
        " against as many before, and a verdict; made anew every hour",
        """
        SELECT product, event, title, nullif(owner, '') AS owner, surface, feature, expires,
               i.last_day, i.days, i.uses, i.uses_before,
               i.uses / nullif(i.uses_before, 0)::float8 - 1 AS change,
               i.low - 1 AS change_low, i.high - 1 AS change_high,
               i.failures / nullif(i.ends, 0)::float8 AS failures, i.p95_ms, i.first_used, i.last_used,
               a.groups AS active_groups, a.span AS active_per, a.adoption,
               CASE WHEN i.event IS NULL THEN NULL
                    WHEN expires <= i.last_day THEN 'expired' WHEN expires <= i.last_day + 30 THEN 'expiring'
                    WHEN i.uses > 0 THEN i.trend
                    WHEN (first_declared AT TIME ZONE 'UTC')::date > i.last_day - i.days THEN 'new'
                    ELSE 'unused' END AS verdict
        FROM footfall.catalog_events LEFT JOIN footfall.inventory i USING (event) LEFT JOIN (
            SELECT product, event, span, groups, adoption FROM ({adoption}) AS used
            WHERE fewest >= {fewest} OR {operator}
        ) AS a USING (product, event)
        WHERE declared
        """,
    ),
    "usage": (
        "Exact occurrences per hour (UTC): how often",
        """
        SELECT c.hour, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
               d.service, d.service_version, d.environment{dims}, c.count
        FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
        WHERE d.surface <> 'footfall'
        """,
    ),
    "usage_by_day": (
        "The same occurrences per day (UTC): faster over many days",
        """
        WITH stale AS MATERIALIZED ({stale}), counted AS (
            SELECT day, dim_id, count FROM footfall.feature_counts_days
            WHERE day <> ALL (ARRAY(SELECT day FROM stale))
            UNION ALL
            SELECT d.day, h.dim_id, h.count FROM stale d CROSS JOIN LATERAL ({of_hours}) AS h
        )
        SELECT c.day, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
               d.service, d.service_version, d.environment{dims}, c.count
        FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
        WHERE d.surface <> 'footfall'
        """,
    ),
    "latency": (
        "Durations per day (UTC), up to half a minute ago: a percentile is at most 2.2 % from the observation"
        " of that rank (nearest rank)",
        """
        SELECT day, surface, feature, event, action, observations, p50_ms, p95_ms, p99_ms
        FROM footfall.latency_percentiles WHERE observations > 0
        UNION ALL
        SELECT day, surface, feature, event, action, footfall.latency_number(histogram),
               ms[1], ms[2], ms[3]
        FROM (
            SELECT u.day, d.surface, d.feature, d.event, d.action,
                   sum(u.histogram) AS histogram
            FROM ({unfilled}) AS u JOIN footfall.feature_dims d ON d.id = u.dim_id
            GROUP BY 1, 2, 3, 4, 5
        ) AS summed, footfall.latency_quantiles(histogram, ARRAY[0.5, 0.95, 0.99]) AS ms
        """,
    ),
    "durations": (
        "Durations per day (UTC) and dimension, up to half a minute ago, as histograms that sum() adds"
        " (ADR 34): what latency is made of, for other days and columns together",
        """
        SELECT u.day, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
               d.service, d.service_version, d.environment{dims},
               footfall.latency_number(u.histogram) AS observations, u.histogram
        FROM (
            SELECT day, dim_id, histogram FROM footfall.latency_days
            UNION ALL SELECT day, dim_id, sum(histogram) FROM ({unfilled}) AS f GROUP BY day, dim_id
        ) AS u JOIN footfall.feature_dims d ON d.id = u.dim_id
        """,
    ),
    "durations_by_hour": (
        "The same per hour (UTC) of the last 8 days",
        """
        SELECT u.hour, d.surface, d.feature, d.event, d.action, d.status, d.error_type,
               d.service, d.service_version, d.environment{dims},
               footfall.latency_number(u.histogram) AS observations, u.histogram
        FROM (
            SELECT hour, dim_id, histogram FROM footfall.latency_hours
            UNION ALL SELECT hour, dim_id, sum(histogram) FROM ({unfilled}) AS f GROUP BY hour, dim_id
        ) AS u JOIN footfall.feature_dims d ON d.id = u.dim_id
        WHERE u.hour >= now() - interval {hours}
        """,
    ),
    "active_groups": (
        "Distinct hashed values per day (UTC), counted once the day has settled, so that nothing that is"
        " sent later shows in it; NULL where a salt was lost within the day, and small numbers are for the"
        " operator alone",
        """
        SELECT start AS day, attribute, CASE WHEN groups >= {fewest} OR {operator} THEN groups END AS groups
        FROM footfall.groups_counts WHERE span = 'day' AND scope = 'all'
        """,
    ),
    "groups": (
        "Distinct hashed values per day, week (from Monday on) and month (UTC): in all, and of each product,"
        " feature and event. Counted once the period has settled; they cannot be added",
        """
        SELECT g.span AS period, g.start AS day, g.attribute, g.scope, nullif(g.product, '') AS product,
               coalesce(nullif(g.feature, ''), c.feature) AS feature, nullif(g.event, '') AS event,
               CASE WHEN g.groups >= {fewest} OR {operator} THEN g.groups END AS groups,
               CASE WHEN g.groups >= {fewest} OR {operator} OR g.groups IS NULL THEN g.reason ELSE 'few' END
                   AS reason
        FROM footfall.groups_counts g LEFT JOIN footfall.catalog_events c USING (product, event)
        """,
    ),
    "published": (
        "What may leave the team: uses per day (UTC), product and event, of days that are closed; of events"
        " that too few groups or actors used on a day, together or not at all (ADR 36)",
        """
        SELECT p.day, p.product, nullif(p.event, {other}) AS event, c.title, c.surface, c.feature, p.count
        FROM footfall.published p JOIN footfall.publishing USING (product)
        LEFT JOIN footfall.catalog_events c USING (product, event)
        """,
    ),
    "published_days": (
        "The days (UTC) that were published of each product, whatever was shown of them",
        """
        SELECT d.day, d.product, d.k
        FROM footfall.published_days d JOIN footfall.publishing USING (product)
        """,
    ),
    "losses": (
        "What was not stored or not passed on, by reason and day (UTC). Signal sdk: dropped before sending;"
        " signal subscriber: not taken by a backend; reasons refused_...: whole requests",
        """
        SELECT day, signal, reason, sum(count)::bigint AS count FROM (
            SELECT (b.received_at AT TIME ZONE 'UTC')::date AS day, b.signal, l.key AS reason,
                   l.value::bigint AS count
            FROM footfall.ingest_batches b, jsonb_each_text(b.losses) l
            UNION ALL SELECT day, signal, reason, count FROM footfall.losses_daily
            UNION ALL
            SELECT (c.hour AT TIME ZONE 'UTC')::date, 'sdk', d.drop_reason, c.count
            FROM footfall.feature_counts c JOIN footfall.feature_dims d ON d.id = c.dim_id
            WHERE d.event = 'footfall.dropped' AND d.drop_reason IS NOT NULL
            UNION ALL
            SELECT day, signal, 'refused_' || reason, requests FROM footfall.refused_daily
            WHERE reason NOT IN ({come_again}, {by_store})
            UNION ALL
            SELECT (parked_at AT TIME ZONE 'UTC')::date, 'subscriber', reason, events FROM footfall.parked
        ) AS every GROUP BY day, signal, reason
        """,
    ),
    "refused": (
        "Requests that were not taken, per day (UTC), and whose they were where that is known; what is"
        " answered so that it comes again is no loss",
        """
        SELECT day, signal, reason, nullif(key, '') AS key, nullif(service, '') AS service,
               reason IN ({come_again}) AS comes_again, requests
        FROM footfall.refused_daily
        """,
    ),
    "ratings": (
        "What owners said of prompts, per day (UTC), prompt, version and source; numbers of fewer than five"
        " ratings are for the operator alone",
        """
        SELECT day, prompt, version, source, {ratings}
        FROM footfall.ratings GROUP BY day, prompt, version, source
        """,
    ),
    "housekeeping": (
        "The tasks that keep the store in shape: their last run and their next one, by Postgres' clock",
        """
        SELECT task, extract(epoch FROM every)::bigint AS every_s, last_run, last_success,
               duration_ms, next_run, outcome, outcome LIKE 'failed%' AS failing,
               next_run < clock_timestamp() - interval '5 minutes' AS overdue
        FROM footfall.housekeeping
        """,
    ),
    "sessions": (
        "Sessions by the day (UTC) on which they began. Daily active: opened, did one other thing, and was"
        " heard of 30 seconds later or more; an installation counts once a day",
        """
        SELECT day, nullif(service, '') AS service, sum(sessions)::bigint AS sessions,
               sum(ended)::bigint AS ended, sum(installations)::bigint AS installations,
               sum(daily_active)::bigint AS daily_active, sum(seconds)::float8 AS seconds
        FROM (
            TABLE footfall.session_days UNION ALL TABLE footfall.sessions_gone
        ) AS every GROUP BY day, service
        """,
    ),
    "session_lengths": (
        "How long sessions took that have ended, by the day (UTC) on which they began: how many were of each"
        " length, up to their last sign of life; of those whose single rows are kept (retention_days)",
        """
        SELECT day, service,
               CASE WHEN seconds < 30 THEN '0:00:00 to 0:00:30' WHEN seconds < 60 THEN '0:00:30 to 0:01:00'
                    WHEN seconds < 300 THEN '0:01:00 to 0:05:00' WHEN seconds < 900 THEN '0:05:00 to 0:15:00'
                    WHEN seconds < 3600 THEN '0:15:00 to 1:00:00'
                    WHEN seconds < 14400 THEN '1:00:00 to 4:00:00' ELSE '4:00:00 or more' END AS length,
               count(*) AS sessions, sum(seconds) AS seconds
        FROM (
            SELECT (opened_at AT TIME ZONE 'UTC')::date AS day, nullif(service, '') AS service,
                   extract(epoch FROM last_seen - opened_at)::float8 AS seconds
            FROM footfall.sessions WHERE opened AND ended_at IS NOT NULL
        ) AS ended GROUP BY 1, 2, 3
        """,
    ),
    "sessions_alive": (
        "Sessions that go on now: they began, and neither ended nor were silent for too long",
        """
        SELECT service, count(*) AS sessions, count(DISTINCT coalesce(installation, session)) AS users
        FROM footfall.sessions, footfall.session_state
        WHERE opened AND ended_at IS NULL AND last_seen + silence > clock_timestamp() GROUP BY service
        """,
    ),
    "concurrent": (
        "The most sessions that were open at once, per hour (UTC) of the last 8 days",
        """
        SELECT hour, max(alive)::bigint AS most FROM (
            SELECT date_trunc('hour', time, 'UTC') AS hour, time,
                   sum(sum(change)) OVER (ORDER BY time) AS alive
            FROM (
                SELECT opened_at AS time, 1 AS change FROM footfall.sessions WHERE opened
                UNION ALL
                SELECT coalesce(ended_at, last_seen + silence), -1
                FROM footfall.sessions, footfall.session_state
                WHERE opened AND coalesce(ended_at, last_seen + silence) <= clock_timestamp()
                UNION ALL
                SELECT generate_series(date_trunc('hour', clock_timestamp(), 'UTC') - interval '8 days',
                                       clock_timestamp(), interval '1 hour'), 0
            ) AS changes GROUP BY time
        ) AS steps
        WHERE time >= date_trunc('hour', clock_timestamp(), 'UTC') - interval '8 days' GROUP BY hour
        """,
    ),
    "time_open": (
        "For how long something was open in sessions (between an event's actions open and close, or the"
        " session's end), by the day (UTC) on which the sessions began; what is open twice counts once",
        """
        SELECT day, event, sum(sessions)::bigint AS sessions, sum(opened)::bigint AS opened,
               sum(seconds)::float8 AS seconds
        FROM (
            SELECT (s.opened_at AT TIME ZONE 'UTC')::date AS day, t.event, count(*) AS sessions,
                   sum(t.opened) AS opened, sum(t.seconds) AS seconds
            FROM footfall.session_times t JOIN footfall.sessions s USING (session) GROUP BY 1, 2
            UNION ALL SELECT day, event, sessions, opened, seconds FROM footfall.session_times_gone
        ) AS every GROUP BY day, event
        """,
    ),
    "completeness": (
        "Per event, of the senders that keep a tally of it: occurrences that they counted (emitted) and that"
        " are stored; their ratio, as it is; surplus: by how much more is stored of a sender than it counted."
        " untallied: what is stored of senders without a tally, which says nothing of completeness",
        """
        SELECT event, coalesce(sum(stored) FILTER (WHERE emitted > 0), 0)::bigint AS stored,
               sum(emitted)::bigint AS emitted,
               (sum(stored) FILTER (WHERE emitted > 0))::float8 / nullif(sum(emitted), 0) AS ratio,
               coalesce(sum(stored) FILTER (WHERE emitted = 0), 0)::bigint AS untallied,
               coalesce(sum(stored - emitted) FILTER (WHERE emitted > 0 AND stored > emitted), 0)
                   ::bigint AS surplus
        FROM (
            WITH counted AS MATERIALIZED (
                SELECT dim_id, sum(count) AS count FROM footfall.feature_counts GROUP BY dim_id
            )
            SELECT event, sum(stored) AS stored, sum(emitted) AS emitted
            FROM (
                SELECT d.event, c.count AS stored, 0 AS emitted, {sender}
                FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
                WHERE d.surface <> 'footfall'
                UNION ALL
                SELECT d.emitted_event, 0, c.count, {sender}
                FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
                WHERE d.event = 'footfall.emitted' AND d.emitted_event IS NOT NULL
            ) AS both_tallies
            GROUP BY event, service, service_version, environment, relayed_from, telemetry_distro
        ) AS senders GROUP BY event
        """,
    ),
    "completeness_by_day": (
        "The same per event and day (UTC); a use shortly before midnight may be in the next day's tally, and"
        " a late one is in the day on which it was. Senders that keep a tally are those that ever sent one",
        """
        WITH stale AS MATERIALIZED ({stale}), counted AS (
            SELECT day, dim_id, count FROM footfall.feature_counts_days
            WHERE day <> ALL (ARRAY(SELECT day FROM stale))
            UNION ALL
            SELECT d.day, h.dim_id, h.count FROM stale d CROSS JOIN LATERAL ({of_hours}) AS h
        ), tallied AS (
            SELECT DISTINCT emitted_event AS event, ROW({sender})::text AS sender
            FROM footfall.feature_dims d WHERE d.event = 'footfall.emitted' AND emitted_event IS NOT NULL
        )
        SELECT day, event, coalesce(sum(stored) FILTER (WHERE keeps), 0)::bigint AS stored,
               sum(emitted)::bigint AS emitted,
               (sum(stored) FILTER (WHERE keeps))::float8 / nullif(sum(emitted), 0) AS ratio,
               coalesce(sum(stored) FILTER (WHERE NOT keeps), 0)::bigint AS untallied,
               coalesce(sum(stored - emitted) FILTER (WHERE keeps AND stored > emitted), 0)::bigint AS surplus
        FROM (
            SELECT s.day, s.event, t.event IS NOT NULL AS keeps, s.stored, s.emitted
            FROM (
                SELECT c.day, CASE WHEN d.surface = 'footfall' THEN d.emitted_event ELSE d.event END AS event,
                       ROW({sender})::text AS sender,
                       coalesce(sum(c.count) FILTER (WHERE d.surface <> 'footfall'), 0) AS stored,
                       coalesce(sum(c.count) FILTER (WHERE d.surface = 'footfall'), 0) AS emitted
                FROM counted c JOIN footfall.feature_dims d ON d.id = c.dim_id
                WHERE d.surface <> 'footfall'
                    OR (d.event = 'footfall.emitted' AND d.emitted_event IS NOT NULL)
                GROUP BY 1, 2, 3
            ) AS s LEFT JOIN tallied t USING (event, sender)
        ) AS senders GROUP BY day, event
        """,
    ),
    "freshness": (
        "How far the store is: one row",
        """
        SELECT position,
               (SELECT committed_at FROM footfall.commits ORDER BY position DESC LIMIT 1) AS committed_at,
               (SELECT coalesce(sum(count), 0)::bigint FROM footfall.losses_daily WHERE reason = {erased})
                   AS erased,
               (SELECT max(day) + 1 FROM (
                   SELECT day FROM footfall.dropped_days UNION ALL SELECT day FROM footfall.thinned
               ) AS gone) AS observed_from
        FROM footfall.commit_clock
        """,
    ),
    "retention": (
        "What is kept for how long",
        """
        SELECT what, product, environment, kept FROM footfall.kept
        """,
    ),
}

STEPS = ("second", "minute", "hour")
"""To which times of single observations may be cut."""
_SENDER = "d.service, d.service_version, d.environment, d.relayed_from, d.telemetry_distro"
"""Whom a tally is held against: all that is known of who sent something, and through whose hands."""
_ROW_KEY = "(SELECT secret FROM footfall.secrets WHERE name = 'rows')"
_OPERATOR = "pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'footfall'), 'USAGE')"
"""Whether who asks is the owner, or may become it."""
FEWEST = 5
"""Distinct groups, and ratings, that are shown to anybody else."""
DROP_VIEWS = "DROP VIEW IF EXISTS " + ", ".join(f"reporting.{name}" for name in _VIEWS)


def create_views(connection: psycopg.Connection, event_time: str = "second") -> None:
    """Makes the reporting views, where they have changed, and lets READER read them, where that role exists.

    Making one anew needs a lock that whoever reads it holds: a collector that starts must not wait for that.

    Args:
        connection: In a transaction that holds the schema's lock, as the owner.
        event_time: To which unit the times of single observations are cut: second, minute or hour.
    """
    rows = connection.execute(
        "SELECT c.table_name, c.column_name, c.hash IS NOT NULL OR a.atttypid = 'uuid'::regtype"
        " FROM footfall.catalog_columns c JOIN pg_attribute a ON a.attname = c.column_name"
        " AND a.attrelid = to_regclass('footfall.' || c.table_name) AND NOT a.attisdropped"
        " ORDER BY c.attribute"
    ).fetchall()
    dims = [c for table, c, _ in rows if table == "feature_dims"]
    dims = [c for c in dims if c not in ("emitted_event", "drop_reason")]
    values = [c for table, c, identifies in rows if table == "feature_events" and not identifies]
    parts = {
        "sender": sql.SQL(_SENDER),
        "dims": _list("d", dims),
        "values": _list("e", values),
        "row_key": sql.SQL(_ROW_KEY),
        "created_at": created_at(sql.Identifier("e", "time"), event_time),
        "day": day_bucket(sql.Identifier("e", "time")),
        "unfilled": sql.SQL(UNFILLED),
        "hours": sql.Literal(f"{HOURS.days} days"),
        "stale": sql.SQL(STALE),
        "of_hours": sql.SQL(OF_HOURS),
        "adoption": sql.SQL(query("adoption")),
        "fewest": sql.Literal(FEWEST),
        "operator": sql.SQL(_OPERATOR),
        "ratings": _ratings(),
        "come_again": sql.SQL(", ").join(map(sql.Literal, COME_AGAIN)),
        "by_store": sql.Literal(BY_STORE),
        "erased": sql.Literal(ERASED),
        "other": sql.Literal(OTHER),
    }
    bodies = {
        name: sql.SQL(body).format(**parts).as_string(connection)
        for name, (_, body) in _VIEWS.items()
    }
    version = hashlib.sha256(json.dumps([_VIEWS, bodies]).encode()).hexdigest()[:16]
    if not _are_there(connection, version):
        _make_anew(connection, bodies)
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA reporting IS {}").format(f"{_VERSION}{version}")
        )
    glossary.comment(connection, list(_VIEWS))
    _let_read(connection, READER, "ALL TABLES IN SCHEMA reporting")
    _let_read(connection, PUBLIC, "reporting.published, reporting.published_days")


def views_of_others(connection: psycopg.Connection) -> list[str]:
    """Views, materialized or not, that somebody has made of the reporting views, in order of their names."""
    return [
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend d"
            " JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
            " JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid"
            " WHERE c.relnamespace = to_regnamespace('reporting') AND c.relname = ANY(%s)"
            " AND r.ev_class <> c.oid ORDER BY 1",
            [list(_VIEWS)],
        )
    ]


def _let_read(connection: psycopg.Connection, role: str, views: str) -> None:
    """Lets a role read, where it exists."""
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    if found is not None:
        name = sql.Identifier(role)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA reporting TO {}").format(name))
        connection.execute(sql.SQL(f"GRANT SELECT ON {views} TO {{}}").format(name))  # a constant


def in_the_way(connection: psycopg.Connection) -> SchemaConflict:
    """What is said where somebody's own views keep ours from being made anew."""
    theirs = ", ".join(views_of_others(connection))
    return SchemaConflict(
        f"the views in `reporting` have to be made anew, and {theirs} depends on one of them",
        "keep its definition (pg_get_viewdef), drop it, start, and make it again",
    )


def created_at(time: sql.Identifier, step: str) -> sql.Composed:
    """A time as it is shown. Partitions have a CHECK of this very expression, as of `day_bucket`."""
    return sql.SQL("date_bin(interval {}, {}, timestamptz 'epoch')").format(f"1 {step}", time)


def day_bucket(time: sql.Identifier) -> sql.Composed:
    """The day (UTC) of a time."""
    return sql.SQL("({} AT TIME ZONE 'UTC')::date").format(time)


def _are_there(connection: psycopg.Connection, version: str) -> bool:
    """Whether all views are there, as this version makes them."""
    return connection.execute(
        "SELECT obj_description(to_regnamespace('reporting'), 'pg_namespace') = %s AND (SELECT count(*)"
        " FROM pg_views WHERE schemaname = 'reporting' AND viewname = ANY(%s)) = %s",
        [f"{_VERSION}{version}", list(_VIEWS), len(_VIEWS)],
    ).fetchone() == (True,)


def _make_anew(connection: psycopg.Connection, bodies: Mapping[str, str]) -> None:
    for name, (comment, _) in _VIEWS.items():
        view = sql.Identifier("reporting", name)
        connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
        made = sql.SQL("CREATE VIEW {} WITH (security_barrier) AS ").format(view)
        connection.execute(made + sql.SQL(bodies[name]))
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, comment))


def _ratings() -> sql.Composed:
    """How many ratings there are, their average, and how many of each number of stars."""
    numbers = {"ratings": "count(*)", "average": "avg(rating)::float8"} | {
        f"stars_{stars}": f"count(*) FILTER (WHERE rating = {stars})" for stars in range(1, 6)
    }
    shown = sql.SQL("CASE WHEN count(*) >= {} OR {} THEN {} END AS {}")
    few, operator = sql.Literal(FEWEST), sql.SQL(_OPERATOR)
    return sql.SQL(", ").join(
        shown.format(few, operator, sql.SQL(number), sql.Identifier(name))
        for name, number in numbers.items()
    )


def _list(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.Composed([sql.SQL(", {}").format(sql.Identifier(alias, n)) for n in names])
