"""R-number A10: the digest is sent when it is due, once, by mail and to a webhook that are real."""

import asyncio
import datetime as dt
import importlib
import json
import logging
import re
from contextlib import AsyncExitStack

import msgspec
import pytest
from click.testing import CliRunner

from footfall_collector.cli import main
from footfall_collector.cli.config import effective
from footfall_collector.config.config import load_config
from footfall_collector.config.digest import DigestConfig
from footfall_collector.process import digests
from footfall_collector.process.digests import Digests
from footfall_exporters import notify
from footfall_exporters.postgres import appointments
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_processors import DocumentError
from footfall_processors.notice import Notice, Section
from footfall_processors.statement import Item, Paragraph
from support.batches import DAY, batch, dimension
from support.mailboxes import Mail, Webhook, serving
from support.stores import MIDNIGHT, TODAY, writing
from support.up import HURRIED, Up
from support.waiting import until, wait_until

UTC = dt.UTC
SECRET = "planted-token-7f3a9c"
LONG_AGO = (
    "UPDATE footfall.housekeeping SET last_run = last_run - interval '8 days', last_success = NULL"
)


@pytest.fixture
def webhook():
    with serving(Webhook()) as server:
        yield server


@pytest.fixture
def mail():
    with serving(Mail()) as server:
        yield server


@pytest.fixture
async def used(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        # Of a Monday morning the week that is due is the one before the last.
        counts = {(MIDNIGHT - n * DAY, dimension("shop.order")): 100 for n in range(1, 15)}
        await writer.consume(batch(counts=counts, losses={}))


@pytest.fixture
def soon(monkeypatch):
    """Collectors look often."""
    monkeypatch.setattr(digests, "LOOK_EVERY", 0.02)


def to(webhook, mail=None, **more):
    targets = {"chat": webhook.url} | ({"team": mail.url} if mail else {})
    return DigestConfig(targets=targets, **more)


def noted(query):
    found = query("SELECT task, outcome FROM footfall.housekeeping WHERE task LIKE 'digest%'")
    return {task.removeprefix("digest to "): outcome for task, outcome in found}


@pytest.mark.requirement("A10")
async def test_of_many_collectors_one_sends_it_and_once(
    store_database, query, used, webhook, mail, soon
):
    config = to(webhook, mail)
    async with AsyncExitStack() as collectors:
        for _ in range(5):
            await collectors.enter_async_context(Digests(store_database, config).running())
        await until(lambda: noted(query) == dict.fromkeys(["chat", "team"], appointments.WAITS))
        assert (webhook.taken, mail.taken) == ([], []), "nothing is sent of what was before"
        for sent in (1, 2):
            query(LONG_AGO)
            await until(lambda sent=sent: len(webhook.taken) >= sent and len(mail.taken) >= sent)
            await until(lambda: noted(query) == dict.fromkeys(["chat", "team"], "sent"))
        looks = [
            asyncio.create_task(Digests(store_database, config).look(config)) for _ in range(9)
        ]
        await asyncio.gather(*looks)
    assert (len(webhook.taken), len(mail.taken)) == (2, 2)
    due = config.last_due(dt.datetime.now(UTC)).date()
    title = f"Features, {due - dt.timedelta(days=7)} to {due - dt.timedelta(days=1)} (UTC)"
    [posted, letter] = webhook.taken[0], mail.taken[0]
    assert posted["title"] == title
    assert "- `shop.order`: " in posted["message"]
    assert (letter["subject"], letter["to"]) == (title, "team@example.org")
    page = letter.get_body(("html",)).get_content()
    assert "<code>shop.order</code>" in page
    assert page.lstrip().startswith("<!doctype html>")


async def test_what_fails_is_tried_again_ever_more_seldom(
    store_database, query, used, webhook, mail, soon, caplog
):
    webhook.status = 500
    caplog.set_level(logging.DEBUG)
    async with Digests(store_database, to(webhook, mail)).running():
        await until(lambda: noted(query))
        await until(lambda: len(noted(query)) == 2)
        query(LONG_AGO)
        await until(lambda: noted(query)["team"] == "sent")
        await until(lambda: noted(query)["chat"].startswith("failed"))
        [(failing, wait)] = query(
            "SELECT failing, next_run - clock_timestamp() FROM reporting.housekeeping"
            " WHERE task = 'digest to chat'"
        )
        assert failing
        assert dt.timedelta(seconds=30) < wait <= dt.timedelta(hours=1)
        webhook.status = 200
        query("UPDATE footfall.housekeeping SET next_run = now() WHERE task = 'digest to chat'")
        await until(lambda: noted(query)["chat"] == "sent")
    assert (len(webhook.taken), len(mail.taken)) == (1, 1)
    assert SECRET not in caplog.text


def test_the_waiting_doubles_up_to_an_hour():
    due = now = dt.datetime(2026, 1, 1, 7, tzinfo=UTC)
    waits = []
    for _ in range(9):
        after = appointments.again(now, due)
        waits.append((after - now) // dt.timedelta(minutes=1))
        now = after
    assert waits == [1, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_what_a_killed_collector_has_claimed_is_free_again_and_it_has_no_say(
    store_database, query
):
    async with await connect(store_database, HOUSEKEEPING) as connection:
        now = await appointments.clock(connection)
        day = dt.timedelta(days=1)
        await appointments.plan(connection, "digest to x", day, now - day / 2, now + day / 2)
        assert await appointments.claim(connection, "digest to x") is None, "not due yet"
        query(LONG_AGO)
        await appointments.plan(connection, "digest to x", day, now - day / 2, now + day / 2)
        first = await appointments.claim(connection, "digest to x")
        assert first is not None
        assert await appointments.claim(connection, "digest to x") is None
        query("UPDATE footfall.housekeeping SET next_run = next_run - interval '20 minutes'")
        second = await appointments.claim(connection, "digest to x")
        assert second is not None
        await appointments.report(connection, "digest to x", first, "sent", now + day, ok=True)
        assert noted(query) == {"x": "is being sent"}
        await appointments.report(connection, "digest to x", second, "sent", now + day, ok=True)
        assert noted(query) == {"x": "sent"}


async def test_who_is_sent_nothing_any_more_is_forgotten(store_database, query, webhook, soon):
    async with Digests(store_database, to(webhook)).running():
        await until(lambda: noted(query))
    query("INSERT INTO footfall.housekeeping SELECT 'brin', every, last_run, NULL, 0, next_run, ''"
          " FROM footfall.housekeeping ON CONFLICT DO NOTHING")  # fmt: skip
    async with Digests(store_database, None).running():
        await until(lambda: not noted(query))
    assert query("SELECT count(*) FROM footfall.housekeeping WHERE task = 'brin'") == [(1,)]


# When


def test_it_is_due_at_an_hour_of_the_place_also_where_clocks_change():
    berlin = DigestConfig(
        every="daily", hour=2, time_zone="Europe/Berlin", targets={"x": "json://x"}
    )
    for now, last, following in (
        ("2026-01-10T12:00", "2026-01-10T01:00", "2026-01-11T01:00"),
        ("2026-07-10T00:00", "2026-07-10T00:00", "2026-07-11T00:00"),
        ("2026-03-29T12:00", "2026-03-29T01:00", "2026-03-30T00:00"),  # 2:00 is skipped
        ("2026-10-25T00:30", "2026-10-25T00:00", "2026-10-26T01:00"),  # 2:00 comes twice
        ("2026-10-25T12:00", "2026-10-25T00:00", "2026-10-26T01:00"),
    ):
        at = dt.datetime.fromisoformat(now).replace(tzinfo=UTC)
        found = [f"{t:%Y-%m-%dT%H:%M}" for t in (berlin.last_due(at), berlin.next_due(at))]
        assert found == [last, following], now
    weekly = msgspec.structs.replace(berlin, every="weekly", hour=7)
    at = dt.datetime(2026, 11, 30, 5, 59, tzinfo=UTC)  # a Monday, 6:59 there
    assert (weekly.last_due(at), weekly.next_due(at)) == (
        dt.datetime(2026, 11, 23, 6, tzinfo=UTC),
        dt.datetime(2026, 11, 30, 6, tzinfo=UTC),
    )


# What is configured


@pytest.fixture
def write(tmp_path):
    (tmp_path / "events.yaml").write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")

    def write(**digest):
        path = tmp_path / "collector.yaml"
        path.write_text(json.dumps({"digest": digest}))
        return path

    return write


@pytest.mark.parametrize(
    ("digest", "path", "said"),
    [
        (
            {"targets": {"x": "json://x"}, "time_zone": "Mars/Olympus"},
            "digest.time_zone",
            "there is no such time zone",
        ),
        (
            {"targets": {"x": "json://x"}, "time_zone": "../etc/passwd"},
            "digest.time_zone",
            "there is no such time zone",
        ),
        ({"targets": {"x": "json://x"}, "hour": 24}, "digest.hour", "<= 23"),
        ({"targets": {"x": "json://x"}, "every": "hourly"}, "digest.every", "hourly"),
        ({"targets": {}}, "digest.targets", "length"),
        ({}, "digest.targets", "is missing"),
        (
            {"targets": {"x": f"chat-of-ours://{SECRET}"}},
            "digest.targets.x",
            "is no URL that apprise knows",
        ),
        ({"targets": {"Our Chat": "json://x"}}, "digest.targets", "regex"),
    ],
)
def test_what_is_wrong_is_a_mistake_that_quotes_no_secret(write, digest, path, said):
    with pytest.raises(DocumentError) as refused:
        load_config(write(**digest), {})
    [mistake] = refused.value.mistakes
    assert mistake.path.startswith(path)
    assert said in mistake.message
    assert SECRET not in str(mistake)


def test_targets_are_secrets_wherever_the_configuration_is_shown(write):
    path = write(targets={"chat": "discord://1234567890/${env:CHAT}"}, hour=9)
    shown = {each.keys: each.value for each in effective(path, {"CHAT": SECRET})}
    assert shown["digest", "targets", "chat"] == "********"
    assert shown["digest", "hour"] == 9
    assert load_config(path, {"CHAT": SECRET}).digest.targets == {
        "chat": f"discord://1234567890/{SECRET}"
    }


# By hand


@pytest.fixture
def run(store_database, write, monkeypatch):
    monkeypatch.setenv("FOOTFALL_DSN", store_database)

    def run(*words, **digest):
        path = write(**digest) if digest else "/dev/null"
        return CliRunner().invoke(main, ["digest", *words, "--config", str(path)])

    return run


@pytest.mark.requirement("A10")
def test_a_dry_run_says_what_would_go_where_and_sends_nothing(run, used, webhook, mail):
    targets = {
        "chat": webhook.url,
        "team": mail.url,
        "bot": f"discord://1234567890123/{SECRET}abcdefgh",
    }
    done = run("--send", "--dry-run", targets=targets, time_zone="Europe/Berlin", every="daily")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    kinds = [line.partition(" characters")[0].rpartition(", ")[0] for line in lines[:3]]
    assert kinds == [
        "to chat: JSON (json://********)",
        "to team: E-Mail (mailto://********)",
        "to bot: Discord (discord://********)",
    ]
    assert [line.rpartition(" ")[2] for line in lines[:3]] == ["markdown", "html", "markdown"]
    assert lines[3].startswith("nothing was sent; a collector sends it next at ")
    assert "07:00 Europe/Berlin" in lines[3]
    assert lines[5] == f"Features, {TODAY - dt.timedelta(days=1)} (UTC)"
    for secret in (SECRET, "1234567890123", "127.0.0.1", "example.org"):
        assert secret not in done.output
    assert (webhook.asked, mail.taken) == (0, [])


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("form", ["", "?format=html"])
@pytest.mark.parametrize(
    ("url", "plugin", "address"),
    [
        (f"discord://1234567890123/{SECRET}abcdefgh", "discord", "notify_url"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/general", "slack", "webhook_url"),
    ],
)
def test_nobody_is_called_in_a_chat_by_what_a_catalog_says(
    webhook, monkeypatch, url, plugin, address, form
):
    """Through apprise as it is; its Discord calls whom it finds in what is sent."""
    module = importlib.import_module(f"apprise.plugins.{plugin}")
    there = webhook.url.replace("json:", "http:")
    monkeypatch.setattr(getattr(module, f"Notify{plugin.title()}"), address, there)
    webhook.answer = b"ok"  # as Slack says
    words = "@everyone @here <@123> <@&456> <!channel> <#general> ana@example.org `@all`"
    items = (Item(words, words),)
    notice = Notice(f"Alert: {words}", [Section(words, [Paragraph(words, items)])])
    assert notify.targets({"chat": url + form})["chat"].send(notice)
    [sent] = webhook.taken
    assert "allow_mentions" not in sent
    text = json.dumps({k: v for k, v in sent.items() if k != "channel"}, ensure_ascii=False)
    assert "everyone" in text
    assert not re.search(r"@[\w&!]", text)
    assert plugin == "discord" or "<" not in text, "<!channel> calls in Slack alone"


def test_a_target_has_the_form_that_its_url_asks_for(webhook):
    notice = Notice("Features", [Section("Owners", [Paragraph("a_b")])])
    forms = {"": "## Owners\n\na\\_b", "?format=text": "Owners\n------\n\na_b"}
    for asked, body in forms.items():
        assert notify.targets({"it": webhook.url + asked})["it"].send(notice)
        assert webhook.taken[-1]["message"] == body
    assert notify.targets({"it": webhook.url + "?format=html"})["it"].form == "html"


def test_mail_and_webhooks_get_addresses_as_they_are(webhook):
    notice = Notice("Features", [Section("Owners", [Paragraph("ana@example.org")])])
    for url in (webhook.url, "mailto://127.0.0.1:25?from=a@example.org&to=ana@example.org"):
        assert "ana@example.org" in notify.targets({"it": url})["it"].body(notice)


@pytest.mark.requirement("A10")
def test_it_is_sent_by_hand(run, used, webhook, mail):
    done = run("--send", "--weekly", targets={"chat": webhook.url, "team": mail.url})
    assert (done.exit_code, done.stdout) == (0, "sent to chat\nsent to team\n")
    assert (len(webhook.taken), len(mail.taken)) == (1, 1)
    webhook.status = 404
    done = run("--send", targets={"chat": webhook.url, "team": mail.url})
    [line] = done.stderr.splitlines()
    assert (done.exit_code, done.stdout) == (1, "sent to team\n")
    assert line.startswith("Error: not sent to chat: it was not taken")
    assert SECRET not in line


def test_what_cannot_be_sent_is_one_line(run):
    for words, said, status in (
        (["--send"], "nobody is named to whom the digest could be sent; set `digest.targets`", 2),
        (["--dry-run"], "--dry-run says what --send would do: add it", 2),
    ):
        done = run(*words)
        [line] = done.stderr.splitlines()
        assert (done.exit_code, said in line) == (status, True)


def test_a_text_that_is_too_long_for_a_chat_comes_in_parts(webhook):
    items = tuple(Item(f"shop.event_{n}", "1,000 (as before)") for n in range(2000))
    long = Notice("Features", [Section("What was used", [Paragraph("Uses.", items)])])
    assert notify.target(webhook.url).send(long)
    assert len(webhook.taken) > 1
    whole = "".join(each["message"] for each in webhook.taken)
    assert whole.count("as before") == 2000


def test_nothing_of_a_url_is_logged(webhook, logged):
    webhook.status = 500
    written = logged(level="debug")
    logging.getLogger().setLevel(logging.DEBUG)
    notice = Notice("Features", [Section("What was used", [Paragraph("Nothing.")])])
    assert not notify.target(webhook.url).send(notice)
    assert not notify.target(f"json://127.0.0.1:1/{SECRET}").send(notice)
    assert SECRET not in written.text


@pytest.mark.thorough
@pytest.mark.requirement("A10")
def test_of_two_processes_one_sends_it(store_database, query, tmp_path, webhook):
    (tmp_path / "events.yaml").write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")
    said = json.dumps({
        "receivers": {"otlp": {"protocols": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}}}},
        "exporters": {"postgres": {"dsn": store_database}},
        "service": {"operator": None},
        "digest": {"every": "daily", "targets": {"chat": webhook.url}},
    })  # fmt: skip
    collectors = []
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(said)
        collectors.append(Up(tmp_path / f"{name}.yaml", command=HURRIED))
    try:
        for collector in collectors:
            asyncio.run(collector.said("Ctrl-C"))
        wait_until(lambda: noted(query) == {"chat": appointments.WAITS})
        for sent in (1, 2):
            query(LONG_AGO)
            wait_until(lambda sent=sent: len(webhook.taken) >= sent)
            wait_until(lambda: noted(query) == {"chat": "sent"})
    finally:
        ends = [collector.stop() for collector in collectors]
    assert ends == [0, 0]
    assert webhook.asked == 2
    logs = "".join(collector.log.read_text() for collector in collectors)
    assert logs.count("the digest was sent to chat") == 2
    assert SECRET not in logs
