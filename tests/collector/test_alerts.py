"""R-numbers C7 and A10: alerts are sent once, tried again, and say nothing that nobody should read."""

import asyncio
import datetime as dt
import json
import logging
from contextlib import AsyncExitStack, suppress

import psycopg
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from footfall_collector.cli import main
from footfall_collector.cli.config import effective
from footfall_collector.config.alerts import AlertsConfig, SilenceConfig
from footfall_collector.config.config import load_config
from footfall_collector.process import alerts
from footfall_collector.process.alerts import Alerts, evaluator
from footfall_exporters.postgres.alerts.message import Kind, Message
from footfall_exporters.postgres.alerts.rules import RULES
from footfall_processors import DocumentError
from footfall_processors.notice import as_html, as_markdown, as_text
from support.mailboxes import Mail, Webhook, serving
from support.up import HURRIED, Up
from support.waiting import until, wait_until

SECRET = "planted-token-7f3a9c"
URL = "https://footfall.example.org"
OVERDUE = """
    INSERT INTO footfall.housekeeping (task, every, last_run, duration_ms, next_run, outcome)
    VALUES ('partitions', interval '1 hour', now() - interval '3 hours', 5, now() - interval '2 hours',
            'made 2 days')
    ON CONFLICT (task) DO UPDATE SET next_run = excluded.next_run
"""
AGAIN = "UPDATE footfall.alert_clock SET looked_at = looked_at - interval '1 hour'"


@pytest.fixture
def webhook():
    with serving(Webhook()) as server:
        yield server


@pytest.fixture
def mail():
    with serving(Mail()) as server:
        yield server


@pytest.fixture
def often(monkeypatch):
    """Collectors look at once, and often; that a minute has passed is said by the test."""
    monkeypatch.setattr(alerts, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(alerts, "LOOK_EVERY", 0.02)


def config_of(*targets, **more):
    named = {f"t{n}": target.url for n, target in enumerate(targets)}
    return AlertsConfig(targets=named, fire_after=1, clear_after=1, **more)


def state(query):
    return query("SELECT rule, coalesce(subject, ''), firing FROM reporting.alerts ORDER BY 1, 2")


FIRING = [("housekeeping_overdue", "partitions", True)]


@pytest.mark.requirement("A10")
async def test_of_many_collectors_one_sends_it_and_once(
    store_database, query, webhook, mail, often
):
    query(OVERDUE)
    config = config_of(webhook, mail)
    async with AsyncExitStack() as collectors:
        for _ in range(4):
            await collectors.enter_async_context(Alerts(store_database, config, url=URL).running())
        await until(lambda: len(webhook.taken) == 1 and len(mail.taken) == 1)
        for _ in range(3):
            looked = query("SELECT looked_at FROM footfall.alert_clock")
            query(AGAIN)
            await until(
                lambda looked=looked: query("SELECT looked_at FROM footfall.alert_clock") > looked
            )
        query("DELETE FROM footfall.housekeeping")
        query(AGAIN)
        await until(lambda: len(webhook.taken) == 2 and len(mail.taken) == 2)
        await until(lambda: query("SELECT count(*) FROM footfall.alert_messages") == [(0,)])
    assert (len(webhook.taken), len(mail.taken)) == (2, 2)
    assert state(query) == []
    titles = [posted["title"] for posted in webhook.taken]
    assert titles == [f"{word}: partitions: housekeeping is overdue" for word in ("Alert", "Over")]
    assert [posted["type"] for posted in webhook.taken] == ["warning", "success"]
    assert "the task partitions is overdue: made 2 days" in webhook.taken[0]["message"]
    page = mail.taken[0].get_body(("html",)).get_content()
    assert f'<a href="{URL}/trust">' in page


async def test_that_postgres_is_away_is_logged_once(often, webhook, caplog):
    tried = []

    def hang_up(_, writer):
        tried.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as away:
        dsn = f"host=127.0.0.1 port={away.sockets[0].getsockname()[1]} connect_timeout=5"
        async with Alerts(dsn, config_of(webhook)).running():
            await until(lambda: len(tried) >= 10)
        for writer in tried:
            with suppress(OSError):
                await writer.wait_closed()
    said = sorted(record.getMessage().partition(" wait for ")[0] for record in caplog.records)
    assert said == ["alerts", "alerts for t0"]


async def test_a_target_that_is_away_is_tried_again_and_holds_up_no_other(
    store_database, query, webhook, mail, often, caplog
):
    caplog.set_level(logging.DEBUG)
    query(OVERDUE)
    webhook.status = 500
    async with Alerts(store_database, config_of(webhook, mail), url=URL).running():
        await until(lambda: webhook.asked and mail.taken)
        await until(lambda: "was not taken by t0" in caplog.text)
        [(wait,)] = query(
            "SELECT due - clock_timestamp() FROM footfall.alert_messages WHERE target = 't0'"
        )
        assert dt.timedelta(seconds=30) < wait < dt.timedelta(minutes=2)
        webhook.status = 200
        query("UPDATE footfall.alert_messages SET due = clock_timestamp()")
        await until(lambda: webhook.taken)
    assert (len(webhook.taken), len(mail.taken)) == (1, 1)
    assert SECRET not in caplog.text
    assert "alert: housekeeping_overdue partitions: the task partitions is overdue" in caplog.text


def test_what_nobody_took_for_a_day_is_given_up(store_database, query):
    query(
        "INSERT INTO footfall.alert_messages (target, at, message)"
        " VALUES ('gone', now() - interval '25 hours', '{}'), ('slow', now() - interval '23 hours', '{}')"
    )
    done = evaluator(store_database, AlertsConfig()).evaluate({})
    assert done.given_up == ["gone"]
    assert query("SELECT target FROM footfall.alert_messages") == [("slow",)]


def test_a_collector_that_is_killed_while_it_looks_leaves_no_trace(store_database, query):
    """What it found and whom it tells is one transaction: another one looks, and tells it."""
    query(OVERDUE)
    rules = evaluator(store_database, config_of(), None)
    with (
        psycopg.connect(store_database, autocommit=True) as reading,
        psycopg.connect(store_database) as connection,
    ):
        connection.execute("SELECT")  # a transaction around its own
        assert rules.look(connection, reading).changes
        assert evaluator(store_database, config_of()).evaluate({}) is None, "one looks at a time"
        connection.rollback()  # what Postgres does when a collector is gone
    assert state(query) == []
    assert [
        str(each.state.about)
        for each in evaluator(store_database, config_of()).evaluate({}).changes
    ] == ["housekeeping_overdue partitions"]
    assert evaluator(store_database, config_of()).evaluate({}) is None, "not twice a minute"


def test_it_fires_after_some_looks_and_clears_after_others(store_database, query):
    rules = evaluator(store_database, AlertsConfig(fire_after=3, clear_after=2))
    told = []
    for is_overdue in (1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0):
        query("DELETE FROM footfall.housekeeping")
        if is_overdue:
            query(OVERDUE)
        query(AGAIN)
        told.append([str(change.turn) for change in rules.evaluate({}).changes])
    assert told == [[], [], [], [], [], ["fires"], [], [], [], ["cleared"], []]


def test_what_is_silenced_is_not_told_until_it_may_be(store_database, query):
    query(OVERDUE)
    config = config_of(
        silence=(SilenceConfig(rule="housekeeping_overdue", until=dt.date(2000, 1, 1)),)
    )
    query("INSERT INTO footfall.alert_silences VALUES ('all', '', now() + interval '1 hour')")
    rules = evaluator(
        store_database,
        AlertsConfig(targets={"x": "json://x"}, fire_after=1, silence=config.silence),
    )
    assert [change.is_new for change in rules.evaluate({}).changes] == [True]
    assert query("SELECT count(*) FROM footfall.alert_messages") == [(0,)]
    query(AGAIN)
    assert rules.evaluate({}).changes == []
    query("UPDATE footfall.alert_silences SET until = now()")
    query(AGAIN)
    assert [change.is_new for change in rules.evaluate({}).changes] == [False]
    assert query("SELECT count(*) FROM footfall.alert_messages") == [(1,)]
    query(AGAIN)
    assert rules.evaluate({}).changes == []


def test_subscribers_and_certificates(store_database, query):
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=13)
    query("INSERT INTO footfall.subscribers (name, position) VALUES ('otlp/there', 0)")
    query("INSERT INTO footfall.commits (position, committed_at, requests)"
          " VALUES (1, now() - interval '2 hours', '{}')")  # fmt: skip
    query("UPDATE footfall.commit_clock SET position = 1")
    done = evaluator(store_database, config_of()).evaluate(
        {"OTLP/HTTP": ends, "OTLP/gRPC": ends + dt.timedelta(days=9)}
    )
    said = {str(change.state.about): change.state.what for change in done.changes}
    assert said == {
        "subscriber_behind otlp/there": "otlp/there has 1 commit to take, the oldest stored 120 minutes ago",
        "certificate_ending OTLP/HTTP": f"the certificate of OTLP/HTTP ends on {ends:%Y-%m-%d %H:%M} UTC",
    }


def test_refused_requests_are_told_by_reason(store_database, query):
    query("""INSERT INTO footfall.refused_hours
        SELECT now() - ago * interval '1 hour', signal, reason, has_key, n FROM (VALUES
            (1, 'traces', 'key', false, 9), (20, 'traces', 'key', false, 40),
            (25, 'traces', 'key', false, 90), (2, 'traces', 'rate', true, 12),
            (2, 'logs', 'invalid', false, 9), (2, 'logs', 'store', true, 99),
            (2, 'logs', 'unavailable', true, 99), (2, 'logs', 'gone', true, 99),
            (800, 'logs', 'path', true, 99)
        ) AS said (ago, signal, reason, has_key, n)""")
    done = evaluator(store_database, config_of()).evaluate({})
    said = {c.state.about.subject: (c.state.what, c.state.first) for c in done.changes}
    assert said == {
        "traces refused_key": (
            "traces: 40 requests were refused (key) within one hour of the last day, of senders that showed"
            " no key of ours; on most other days none",
            "give the sender its key (`footfall keys new`), or let it send the new one",
        ),
        "traces refused_rate with a key": (
            "traces: 12 requests were told to come again (rate) within one hour of the last day, of senders"
            " with a key; on most other days none",
            "nothing, if rare: senders retry; else raise the key's requests_per_minute; footfall doctor names"
            " the keys",
        ),
    }


def test_expired_events_are_named_with_who_answers_for_them(store_database, query):
    query("""INSERT INTO footfall.ingest_batches (id, digest, received_at, signal, accepted, losses)
        VALUES (1, gen_random_uuid(), now(), 'traces', 0, '{"expired_event": 3}')""")
    columns = (
        "product, event, title, description, owner, surface, feature, actions, expires, declared"
    )
    query(
        f"INSERT INTO footfall.catalog_events ({columns}, first_declared, last_declared, version)"
        " SELECT 'shop', 'shop.' || name, '', '', owner, 'web', name, '{invoke}',"
        "   current_date - ago, declared, now(), now(), ''"
        " FROM (VALUES ('fax', 'ana', 1, true), ('beep', '', 9, true), ('today', 'bo', 0, true),"
        "   ('former', 'bo', 9, false), ('a', 'x', 5, true), ('z', 'x', 5, true)"
        ") AS t (name, owner, ago, declared)"
    )
    [change] = evaluator(store_database, config_of()).evaluate({}).changes
    assert change.state.what == (
        "3 in the last hour of events whose last day is over (over in the catalog: shop.a of x, shop.beep,"
        " shop.fax of ana and 2 more); none is stored"
    )


def test_a_rule_that_cannot_be_asked_keeps_its_state_and_holds_up_no_other(store_database, query):
    query(OVERDUE)
    rules = evaluator(store_database, config_of())
    assert rules.evaluate({}).changes
    query("ALTER TABLE footfall.feature_counts RENAME TO elsewhere")
    query("ALTER VIEW reporting.housekeeping RENAME TO elsewhere")
    query(AGAIN)
    done = rules.evaluate({})
    assert done.changes == []
    outcomes = {each.rule: each.outcome for each in done.looked}
    assert outcomes["housekeeping_overdue"] == "failed: UndefinedTable"
    assert outcomes["subscriber_behind"] == "looked"
    assert state(query) == FIRING
    assert ("housekeeping_overdue", True) in query(
        "SELECT rule, failing FROM reporting.alert_rules"
    )


# What is said


def message(**more):
    now = dt.datetime(2026, 11, 30, 14, 5, tzinfo=dt.UTC)
    said = {"kind": Kind.FIRES, "rule": "failure_share", "product": "shop", "subject": "shop.gift_card",
            "what": "12.0 % of <100> uses failed", "sure": "certain", "since": now, "at": now}  # fmt: skip
    return Message(**{**said, **more})


@pytest.mark.requirement("A10")
def test_a_message_says_what_since_when_how_sure_and_where_to_look():
    text = as_text(message().notice(URL + "/"))
    assert text.splitlines()[0] == "Alert: shop.gift_card: more failures than before"
    for line in (
        "failure_share shop shop.gift_card",
        "12.0 % of <100> uses failed.",
        "- since: 2026-11-30 14:05 UTC",
        "- how sure: certain",
        f"- look first: {RULES['failure_share'].first}.",
        f"- see: {URL}/feature?event=shop.gift_card&product=shop",
    ):
        assert line in text.splitlines(), line
    assert "see:" not in as_text(message().notice(None))


def test_a_link_is_a_link_in_every_form():
    href = f'href="{URL}/feature?event=shop.gift_card&amp;product=shop"'
    notice = message().notice(URL)
    assert href in as_html(notice)
    assert href in MarkdownIt().render(as_markdown(notice))
    assert "<100>" not in as_html(notice)


# What is configured


@pytest.fixture
def write(tmp_path):
    (tmp_path / "events.yaml").write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")

    def write(operator=None, **alerts):
        path = tmp_path / "collector.yaml"
        said = {"alerts": alerts} | ({"service": {"operator": operator}} if operator else {})
        path.write_text(json.dumps(said))
        return path

    return write


@pytest.mark.parametrize(
    ("said", "path", "right"),
    [
        ({"off": ["low_event_rates"]}, "alerts.off", 'did you mean "low_event_rate"?'),
        ({"silence": [{"rule": "everything"}]}, "alerts.silence", "there are low_event_rate"),
        ({"thresholds": {"losses": 0}}, "alerts.thresholds.losses", "must be greater than 0"),
        ({"thresholds": {"low_event_rate": 1}}, "alerts.thresholds.low_event_rate", "less than 1"),
        ({"fire_after": 0}, "alerts.fire_after", ">= 1"),
        (
            {"targets": {"x": f"nowhere://{SECRET}"}},
            "alerts.targets.x",
            "no URL that apprise knows",
        ),
        ({"operator": {"url": f"https://me:{SECRET}@x"}}, "service.operator.url", "regex"),
    ],
)
def test_what_is_wrong_is_a_mistake_that_quotes_no_secret(write, said, path, right):
    with pytest.raises(DocumentError) as refused:
        load_config(write(**said), {})
    [mistake] = refused.value.mistakes
    assert mistake.path.startswith(path)
    assert right in mistake.message
    assert SECRET not in str(mistake)


def test_a_silence_ends_on_a_day_and_all_may_be_off(write, tmp_path):
    said = "alerts: {silence: [{rule: losses, until: 2027-01-07}, {rule: all, product: s}]}"
    write().write_text(said)
    first, second = load_config(tmp_path / "collector.yaml", {}).alerts.silence
    assert first.silence().until == dt.datetime(2027, 1, 7, tzinfo=dt.UTC)
    assert second.silence().until.year == 9999
    (tmp_path / "off.yaml").write_text("alerts: null")
    assert load_config(tmp_path / "off.yaml", {}).alerts is None
    done = CliRunner().invoke(main, ["validate", str(tmp_path / "off.yaml")])
    assert (done.exit_code, "a valid configuration" in done.output) == (0, True)


def test_targets_are_secrets_wherever_the_configuration_is_shown(write):
    shown = {
        e.keys: e.value
        for e in effective(write(targets={"chat": "discord://123456/${env:X}"}), {"X": SECRET})
    }
    assert shown["alerts", "targets", "chat"] == "********"


# By hand


@pytest.fixture
def run(store_database, write, monkeypatch):
    monkeypatch.setenv("FOOTFALL_DSN", store_database)

    def run(*words, operator=None, **said):
        path = write(operator, **said) if said else "/dev/null"
        return CliRunner().invoke(main, ["alerts", *words, "--config", str(path)])

    return run


def test_rules_are_listed_with_what_they_found(run, store_database, query):
    assert run("list").stdout.splitlines()[-1].startswith("no collector has looked yet")
    query(OVERDUE)
    evaluator(store_database, config_of(off=("no_events",))).evaluate({})
    printed = run("list").stdout
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line[:1] == "│"]
    assert [row[:2] for row in rows[:2]] == [["low_event_rate", "quiet"], ["no_events", "off"]]
    assert ["housekeeping_overdue", "fires", "housekeeping is overdue"] in rows
    at = lines.index("housekeeping_overdue partitions: fires")
    found = " ".join(" ".join(lines[at:]).split())
    assert "what the task partitions is overdue: made 2 days, 180 minutes ago since 2" in found
    assert " UTC how sure certain: it was counted look first the collector's log" in found
    assert lines[-1].startswith("looked at ")
    [rule] = [
        r
        for r in json.loads(run("list", "--json").stdout)["rules"]
        if r["rule"] == "housekeeping_overdue"
    ]
    [alert] = rule["alerts"]
    assert (rule["state"], rule["outcome"], alert["subject"], alert["firing"]) == (
        "fires",
        "looked",
        "partitions",
        True,
    )


def test_on_few_columns_rules_have_their_whole_names(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    printed = run("list").stdout
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in printed.splitlines()
        if "│" in line
    ]
    assert "".join(row[0] for row in rows) == "".join(RULES)


def test_a_rule_is_silenced_and_told_of_again(run, query):
    done = run("silence", "losses", "--for", "2h")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("nobody is told of losses until ")
    [(rule, left)] = query("SELECT rule, until - clock_timestamp() FROM footfall.alert_silences")
    assert rule == "losses"
    assert dt.timedelta(minutes=119) < left <= dt.timedelta(hours=2)
    assert "\nnobody is told of losses until 2" in run("list").stdout
    assert run("silence", "losses", "--for", "0m").stdout == "people are told of losses again\n"
    assert "nobody" not in run("list").stdout
    assert run("silence", "all", "--for", "1d", "--product", "testbed").exit_code == 0
    for words, said in (
        (["silence", "losses", "--for", "2 hours"], "--for takes a number of m, h or d, such as 2h"),
        (["silence", "nothing", "--for", "2h"], "'nothing' is not one of"),
        (["silence", "losses", "--for", "2h", "--product", "x"], "that product; there are testbed"),
    ):  # fmt: skip
        done = run(*words)
        [line] = done.stderr.splitlines()
        assert (done.exit_code, said in line) == (2, True), line


@pytest.mark.requirement("A10")
def test_the_way_is_tried_by_hand(run, webhook, mail):
    targets = {"chat": webhook.url, "team": mail.url}
    done = run("test", "--dry-run", targets=targets, operator={"url": URL})
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("to chat: JSON (json://********), ")
    assert f"- see: {URL}/" in done.stdout
    for secret in (SECRET, "127.0.0.1"):
        assert secret not in done.output
    assert (webhook.asked, mail.taken) == (0, [])
    done = run("test", "losses", targets=targets)
    assert (done.exit_code, done.stdout) == (0, "sent to chat\nsent to team\n")
    [posted] = webhook.taken
    assert posted["title"] == "Test: events are lost"
    [line] = run("test").stderr.splitlines()
    assert "set `alerts.targets` in the configuration" in line


@pytest.mark.thorough
@pytest.mark.requirement("A10")
def test_of_two_processes_one_sends_it(store_database, query, tmp_path, webhook):
    (tmp_path / "events.yaml").write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")
    said = {
        "receivers": {"otlp": {"protocols": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}}}},
        "exporters": {"postgres": {"dsn": store_database}},
        "service": {"operator": None},
        "alerts": {"targets": {"chat": webhook.url}, "fire_after": 1},
    }
    collectors = []
    query("INSERT INTO footfall.subscribers (name, position) VALUES ('otlp/there', -1)")
    query("INSERT INTO footfall.commits (position, committed_at, requests)"
          " VALUES (0, now() - interval '2 hours', '{}')")  # fmt: skip
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(said))
        collectors.append(Up(tmp_path / f"{name}.yaml", command=HURRIED))
    try:
        wait_until(lambda: webhook.taken, 60)
        query(AGAIN)
        looked = query("SELECT looked_at FROM footfall.alert_clock")
        wait_until(lambda: query("SELECT looked_at FROM footfall.alert_clock") > looked)
    finally:
        ends = [collector.stop() for collector in collectors]
    assert ends == [0, 0]
    assert webhook.asked == 1
    logs = "".join(collector.log.read_text() for collector in collectors)
    assert logs.count("alert: subscriber_behind otlp/there") == 1
    assert SECRET not in logs
