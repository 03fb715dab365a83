"""Links to one view: what they open, what they do not, and when they end."""

import datetime as dt
import hashlib
import re
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from click.testing import CliRunner
from itsdangerous import TimestampSigner

from collector.keyed import ALL, write_keys
from footfall_collector.cli import main
from footfall_collector.config.schema import OperatorConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_collector.security import page_secret
from support.batches import HOUR, batch, dimension, one_row
from support.collectors import configured
from support.stores import MIDNIGHT, writing

HTML = {"accept": "text/html,*/*;q=0.8"}
VIEW = "/feature?event=shop.order&env=production&period=7d"
PLANTED = "planted-7f3a9c"
RECENT = (dt.datetime.now(dt.UTC) - dt.timedelta(days=6)).isoformat()


@pytest.fixture
def command(store_database, monkeypatch, tmp_path):
    """Runs `footfall share` with the configuration of the collector."""
    monkeypatch.setattr(page_secret, "FRESH_S", 0.0)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    write_keys(tmp_path / "keys.yaml", boss=(ALL, {"operator": True}))
    (tmp_path / "events.yaml").write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")
    file = tmp_path / "collector.yaml"
    file.write_text(
        f'exporters: {{postgres: {{dsn: "{store_database}"}}}}\n'
        "service: {operator: {endpoint: '127.0.0.1:8888', keys_file: keys.yaml, url: 'https://footfall.example'}}\n"
    )
    return lambda *words: CliRunner().invoke(main, ["share", *words, "--config", str(file)])


@pytest.fixture
async def client(store_database, catalog, tmp_path, command):
    operator = OperatorConfig(endpoint="127.0.0.1:0", keys_file=str(tmp_path / "keys.yaml"))
    config = configured(catalog, store_database, service=ServiceConfig(operator=operator))
    async with (
        running(config) as collector,
        httpx.AsyncClient(
            base_url=f"http://{collector.operator}", timeout=30, verify=False
        ) as client,
    ):
        yield client


@pytest.fixture
async def used(store_database, catalog):
    """Two events, the first in two environments."""
    counts = {}
    for environment, number in (("production", 5), ("staging", 3)):
        of = dimension("shop.order", "success", environment=environment)
        counts[MIDNIGHT + HOUR * 0, of] = number
    counts[MIDNIGHT, dimension("shop.visit", "open", environment="production")] = 7
    async with writing(store_database, catalog) as writer:
        row = one_row(MIDNIGHT, dimension("shop.order", "success", environment="production"), 20)
        await writer.consume(batch(row, counts=counts))


def shared(command, address=VIEW, *words):
    """The path and query that the command prints, and its token."""
    done = command(address, *words)
    assert done.exit_code == 0, done.output
    url = urlsplit(done.stdout.strip())
    assert f"{url.scheme}://{url.netloc}" == "https://footfall.example"
    return f"{url.path}?{url.query}", dict(parse_qsl(url.query))["share"]


async def report(client, name, token, **query):
    answer = await client.get(f"/api/reports/{name}", params={**query, "share": token})
    return answer.json()["rows"] if answer.status_code == 200 else answer.status_code


async def test_a_link_opens_its_view_and_the_figures_of_its_filters(client, command, used):
    address, token = shared(command)
    page = await client.get(address, headers=HTML)
    assert (page.status_code, "set-cookie" in page.headers) == (200, False)
    assert await report(client, "usage", token, since=RECENT, by="event,environment") == [
        {"event": "shop.order", "environment": "production", "count": 6}
    ]
    asked = {"since": RECENT, "by": "event", "where": "event=shop.order"}
    assert await report(client, "usage", token, **asked) == [{"event": "shop.order", "count": 6}]
    features = await report(client, "features", token, by="event")
    assert [each["event"] for each in features] == ["shop.order"]
    assert [each["event"] for each in await report(client, "catalog", token)] == ["shop.order"]
    assert isinstance(await report(client, "latency", token, since=RECENT), list)


LOOKS = [
    *("sort=-failures", "q=order", "verdict=fading", "owner=ana", "surface=web", "column=p95_ms"),
    *("scale=same", "changed=failures", "service=shop", "release=1.2", "theme=dark"),
    *("vs=version", "ps=-uses", "rs=version", "ls=day", "hs=task", "ws=week", "qs=prompt"),
]


async def test_what_is_only_looks_opens_it_as_well(client, command):
    address, _ = shared(command)
    for look in LOOKS:
        assert (await client.get(f"{address}&{look}", headers=HTML)).status_code == 200, look
    for filters in ("product=s", "env=staging", "version=1", "compare=none", "from=2026-01-01"):
        assert (await client.get(f"{address}&{filters}", headers=HTML)).status_code == 403, filters
    turned, _ = shared(command, f"{VIEW}&sort=-failures&q=a%26b")
    assert "sort=-failures&q=a%26b&share=" in turned, "the link opens what was looked at"
    turned = turned.replace("sort=-failures&q=a%26b&", "")
    assert (await client.get(turned, headers=HTML)).status_code == 200


async def test_what_is_looks_in_an_address_is_a_condition_in_a_report(client, command, used):
    _, token = shared(command)
    asked = {"since": RECENT, "by": "event", "surface": "nowhere"}
    assert await report(client, "usage", token, **asked) == []


async def test_it_opens_nothing_else(client, command, used):
    address, token = shared(command)
    for path in (
        "/", "/feature?event=shop.visit&env=production&period=7d", "/feature?event=shop.order",
        "/feature?event=shop.order&env=production&period=30d", f"{VIEW}&more=1",
        "/live", "/api/live", "/metrics", "/api/reports/usage/", "/API/reports/usage",
    ):  # fmt: skip
        mark = "&" if "?" in path else "?"
        answer = await client.get(f"{path}{mark}share={token}", headers=HTML)
        assert answer.status_code == 403, path
    refused = (
        "overview",
        "state",
        "losses",
        "sessions",
        "summary",
        "recent",
        "dashboard",
        "retention",
    )
    for name in refused:
        assert await report(client, name, token) == 403, name
    assert (await client.get(address.partition("share=")[0], headers=HTML)).status_code == 303
    for method in ("POST", "PUT", "DELETE"):
        answer = await client.request(method, address, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"where": "event=shop.visit"},
        {"event": "shop.visit"},
        {"environment": "staging"},
        {"where": " environment =staging"},
        {"where": ["event=shop.order", "event=shop.visit"]},
        {"where": "event="},
        {"since": "60d"},
        {"since": "never"},
        {"until": "2020-01-02"},
        {"since": "2020-01-01", "until": "2020-01-02"},
    ],
)
async def test_figures_of_other_filters_and_periods_are_refused(client, command, used, query):
    _, token = shared(command)
    asked = {"since": RECENT, "by": "event"} | query
    if "until" in query and "since" not in query:
        del asked["since"]
    assert await report(client, "usage", token, **asked) == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"since": RECENT, "by": "event"}, 200),
        ({"since": RECENT, "by": "day"}, 200),
        ({"since": "60d", "by": "day"}, 403),
        ({"since": "60d", "by": "event"}, 403),
        ({"by": "day"}, 403),
        ({"by": "month"}, 403),
        ({"until": RECENT}, 200),  # the seven days before, which are compared with
        ({"until": "12d"}, 403),
        ({}, 403),
    ],
)
async def test_completeness_reaches_no_further_back_than_the_view(client, command, query, status):
    """It is of all that is kept unless a period is given."""
    _, token = shared(command)
    answer = await client.get("/api/reports/completeness", params={**query, "share": token})
    assert answer.status_code == status, answer.text


async def test_a_link_that_is_over_or_forged_opens_nothing(client, command, query):
    address, token = shared(command, VIEW, "--for", "1h")
    said, _, _ = token.split(".")
    [[secret]] = query("SELECT secret FROM footfall.page_keys WHERE name = 'shares'")

    class Dated(TimestampSigner):
        later = 0

        def get_timestamp(self):
            return int(time.time()) + self.later

    signer = Dated(secret, b"footfall.share", key_derivation="hmac", digest_method=hashlib.sha256)
    for later, status in ((-3540, 200), (-3601, 403), (300, 403)):
        signer.later = later
        there = re.sub("share=.*", f"share={signer.sign(said).decode()}", address)
        assert (await client.get(there, headers=HTML)).status_code == status
    for forged in (token[:-1] + "!", token[1:], said, PLANTED, "..", "é", token * 40):
        there = re.sub("share=.*", urlencode({"share": forged}), address)
        answer = await client.get(there, headers=HTML)
        assert answer.status_code == 403
        assert PLANTED not in answer.text


async def test_all_links_end_at_once(client, command):
    before, _ = shared(command)
    assert (await client.get(before, headers=HTML)).status_code == 200
    done = command("--end-all")
    assert (done.exit_code, "every link is over" in done.stdout) == (0, True)
    assert (await client.get(before, headers=HTML)).status_code == 403
    after, _ = shared(command)
    assert (await client.get(after, headers=HTML)).status_code == 200


async def test_operators_may_follow_it_too(client, command, used):
    address, token = shared(command)
    bearer = {"authorization": f"Bearer {ALL}"}
    assert (await client.get(address, headers=bearer)).status_code == 200
    answer = await client.get(f"/api/reports/losses?share={token}", headers=bearer)
    assert answer.status_code == 200


async def test_other_views_have_the_figures_that_they_show(client, command, used):
    address, token = shared(command, "/?period=7d&env=(none)")
    assert (await client.get(address, headers=HTML)).status_code == 200
    assert await report(client, "usage", token, since=RECENT) == []
    assert await report(client, "sessions", token) == 403
    foot = await client.get("/api/reports/state", params={"share": token})
    assert foot.json().keys() == {"report", "completeness", "freshness"}
    _, custom = shared(command, "/failures?period=custom&from=2026-11-01&to=2026-11-10")
    period = {"since": "2026-11-02", "until": "2026-11-09"}
    assert await report(client, "errors", custom, **period) == []
    assert await report(client, "errors", custom, **(period | {"until": "2026-11-20"})) == 403
    assert await report(client, "errors", custom) == 403, "the last days are not in it"
    foot = await client.get("/api/reports/state", params={"share": custom})
    assert foot.status_code == 200


def ago(**of):
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**of)).isoformat()


async def test_a_period_that_is_not_said_is_the_usual_one(client, command, used):
    _, token = shared(command, "/failures?period=24h")
    assert await report(client, "errors", token) == 403, "it would be seven days"
    assert await report(client, "errors", token, until=ago(days=1)) == 403
    assert await report(client, "errors", token, since=ago(days=2)) == []


async def test_the_trends_of_features_and_the_period_before_changes_are_in_it(
    client, command, used
):
    _, token = shared(command, "/?period=24h&compare=week")
    assert isinstance(await report(client, "usage", token, since=ago(days=28, hours=20)), list)
    assert await report(client, "usage", token, since=ago(days=30)) == 403
    assert await report(client, "latency", token, since=ago(days=28)) == 403
    assert isinstance(await report(client, "changes", token, since=ago(days=1)), list)
    assert await report(client, "changes", token, since=ago(days=4)) == 403
    assert await report(client, "changes", token, since="1000-01-01") == 403


async def test_an_event_may_be_called_all(client, command, used):
    _, token = shared(command, "/feature?event=all&period=7d")
    assert await report(client, "usage", token, since=RECENT) == []
    assert await report(client, "usage", token, since=RECENT, event="shop.order") == 403


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/live"], "no view at this path can be shared"),
        ([f"/{PLANTED}"], "no view at this path can be shared"),
        (["/feature"], "name the event"),
        (["/?product=shop"], "cannot be limited to a product"),
        (["/?period=custom&from=0001-01-01&to=2026-01-01"], "`from` and `to` must be"),
        (["/?period=custom&from=2024-01-01&to=2026-01-01"], "`from` and `to` must be"),
        (["/?period=custom"], "`from` and `to` must be"),
        (["/", "--for", "soon"], "`--for` is no time"),
        (["/", "--for", "0d"], "a link lasts"),
        (["/", "--for", "400d"], "a link lasts"),
        ([], "give the ADDRESS of a view, or --end-all"),
        (["/", "--end-all"], "give the ADDRESS of a view, or --end-all"),
    ],
)
def test_what_cannot_be_shared_is_said(command, words, said):
    done = command(*words)
    assert done.exit_code == 2
    assert said in done.output
    assert PLANTED not in done.output
