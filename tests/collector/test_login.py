"""Who may see the page where keys are configured: logins, cookies, the Host header, other sites."""

import contextlib
import hashlib
import io
import json
import logging
import re
import ssl
import time
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from itsdangerous import TimestampSigner

from collector.keyed import ALL, NAMES, OVER, SHOP, SLOW, write_keys
from collector.test_operator import make_certificate
from footfall_collector.config.schema import OperatorConfig, ServiceConfig, TlsConfig
from footfall_collector.process.app import running
from footfall_collector.security import login, page_secret
from support.collectors import configured
from support.up import Up

KEY, OTHER, SENDER = ALL, SHOP, SLOW
NEVER = NAMES
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = {"sec_fetch_site": "same-origin"}
PLANTED = "planted-7f3a9c"


class Browser:
    """What a browser sends to a listener: its cookies, and whose page asks."""

    def __init__(self, client, collector):
        self.client, self.collector, self.cookies = client, collector, {}

    async def get(self, path, **headers):
        return await self._ask("GET", path, {**HTML, **headers})

    async def post(self, path, form, **headers):
        return await self._ask("POST", path, {**HTML, **OWN, **headers}, form)

    async def log_in(self, key=KEY, **form):
        return await self.post("/login", {"key": key, **form})

    async def _ask(self, method, path, headers, form=None):
        headers = {name.replace("_", "-"): value for name, value in headers.items() if value}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        answer = await self.client.request(method, path, headers=headers, data=form)
        self.client.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer


@contextlib.asynccontextmanager
async def browsing(catalog, dsn, tmp_path, verify=False, **operator):
    keys = tmp_path / "keys.yaml"
    if not keys.exists():
        write_keys(keys, boss=(KEY, {"operator": True}), other=(OTHER, {"operator": True}),
                   bot=(SENDER, {}))  # fmt: skip
    config = OperatorConfig(endpoint="127.0.0.1:0", keys_file=str(keys), **operator)
    service = ServiceConfig(operator=config)
    async with running(configured(catalog, dsn, service=service)) as collector:
        scheme = "https" if operator.get("tls") else "http"
        base = f"{scheme}://{collector.operator}"
        async with httpx.AsyncClient(base_url=base, verify=verify, timeout=30) as client:
            yield Browser(client, collector)


@pytest.fixture
async def browser(store_database, catalog, tmp_path):
    async with browsing(catalog, store_database, tmp_path) as found:
        yield found


def target(answer):
    """Where the login page is asked to go on."""
    assert answer.status_code == 303
    where = urlsplit(answer.headers["location"])
    assert (where.scheme, where.netloc, where.path) == ("", "", "/login")
    return parse_qs(where.query)["next"][0]


async def test_a_browser_logs_in_looks_and_logs_out(browser):
    assert target(await browser.get("/feature?event=shop.order&env=a%26b")) == (
        "/feature?event=shop.order&env=a%26b"
    )
    form = await browser.get("/login?next=/feature?event=x")
    assert form.status_code == 200
    assert '<form method="post" action="/login">' in form.text
    assert "<script" not in form.text
    done = await browser.log_in(next="/feature?event=x")
    assert (done.status_code, done.headers["location"]) == (303, "/feature?event=x")
    for path in ("/", "/feature", "/api/reports/usage", "/metrics"):
        assert (await browser.get(path)).status_code == 200
    assert (await browser.get("/login?next=/speed")).headers["location"] == "/speed"
    kept = dict(browser.cookies)
    left = await browser.post("/logout", {})
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert target(await browser.get("/")) == "/"
    browser.cookies = kept
    assert target(await browser.get("/")) == "/", "nor does whoever has kept the cookie"


async def test_programs_are_answered_as_ever(browser):
    for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        answer = await browser.client.get("/api/reports/usage", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    bearer = {"authorization": f"Bearer {KEY}"}
    assert (await browser.client.get("/api/reports/usage", headers=bearer)).status_code == 200
    wrong = await browser.get("/", authorization=f"Bearer {SENDER}")
    assert wrong.status_code == 401


async def test_what_pages_are_made_of_is_open_and_nothing_else(browser):
    [style] = re.findall(r'href="(/page/[^"]+)"', (await browser.get("/login")).text)
    assert (await browser.get(style)).headers["content-type"].startswith("text/css")
    for path in ("/", "/live", "/metrics", "/api/live", "/api/reports/usage", "/elsewhere"):
        assert (await browser.get(path)).status_code == 303


WRONG = {
    "none": "", "space": "  ", "sender": SENDER, "unknown": NEVER, "broken": "ffk_" + PLANTED,
    "other": PLANTED, "letters": "é" * 100,
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_no_operators_key_opens_nothing_and_is_not_echoed(browser, wrong):
    key = WRONG[wrong]
    answer = await browser.log_in(key)
    assert answer.status_code == 403
    assert "no key of an operator" in answer.text
    assert not browser.cookies
    assert key.strip() not in answer.text or not key.strip()


async def test_keys_cannot_be_tried_out(browser):
    for _ in range(login.TRIES):
        assert (await browser.log_in(NEVER)).status_code == 403
    answer = await browser.log_in(NEVER)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60 / login.TRIES
    assert (await browser.log_in(KEY)).status_code == 429, "nor is the right one told from others"


FORGED = [
    lambda cookie: cookie[:-1] + ("Q" if cookie[-1] < "Q" else "A"),  # the last two bits mean nothing
    lambda cookie: "A" + cookie[1:],
    lambda cookie: cookie.rpartition(".")[0],
    lambda _: "",
    lambda _: PLANTED,
    lambda _: "..",
    lambda _: "é",
    lambda cookie: cookie * 50,
    lambda cookie: TimestampSigner("guess", salt="footfall.login").sign(cookie.split(".")[0]).decode(),
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGED)
async def test_a_forged_cookie_opens_nothing(browser, forge):
    await browser.log_in()
    [(name, cookie)] = browser.cookies.items()
    browser.cookies = {name: forge(cookie)}
    headers = {**HTML, "cookie": f"{name}={forge(cookie)}".encode()}
    assert (await browser.client.get("/", headers=headers)).status_code == 303


class Dated(TimestampSigner):
    """Signs as if it were another time."""

    def __init__(self, secret, salt, later):
        super().__init__(secret, salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self.later = later

    def get_timestamp(self):
        return int(time.time()) + self.later


async def test_a_login_ends_after_half_a_day(browser, query):
    await browser.log_in()
    [(name, cookie)] = browser.cookies.items()
    said = cookie.split(".")[0]
    [[secret]] = query("SELECT secret FROM footfall.page_keys WHERE name = 'logins'")
    half_a_day = 12 * 3600
    for later, status in ((-half_a_day + 30, 200), (-half_a_day - 1, 303), (30, 200), (120, 303)):
        browser.cookies = {name: Dated(secret, b"footfall.login", later).sign(said).decode()}
        assert (await browser.get("/")).status_code == status, later
    browser.cookies = {name: Dated(secret, b"footfall.share", 0).sign(said).decode()}
    assert (await browser.get("/")).status_code == 303, "signed for something else"


async def test_a_login_ends_with_its_key(browser, tmp_path):
    await browser.log_in()
    write_keys(tmp_path / "keys.yaml", other=(OTHER, {"operator": True}))
    assert (await browser.get("/")).status_code == 200, "it is read on SIGHUP"
    await browser.collector.reload(None)
    assert (await browser.get("/")).status_code == 303
    assert (await browser.log_in(KEY)).status_code == 403
    assert (await browser.log_in(OTHER)).status_code == 303
    write_keys(tmp_path / "keys.yaml", other=(OTHER, {}))
    await browser.collector.reload(None)
    assert (await browser.get("/")).status_code == 303, "it is an operator's no more"


async def test_a_login_outlives_the_collector_and_ends_with_its_secret(
    store_database, catalog, tmp_path, query, monkeypatch
):
    monkeypatch.setattr(page_secret, "FRESH_S", 0.0)
    async with browsing(catalog, store_database, tmp_path) as browser:
        await browser.log_in()
        kept = browser.cookies
    async with browsing(catalog, store_database, tmp_path) as browser:
        browser.cookies = kept
        assert (await browser.get("/")).status_code == 200
        query("DELETE FROM footfall.page_keys")
        assert (await browser.get("/")).status_code == 303


# Of other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "", "origin": "http://attacker.example"},
        {"sec_fetch_site": "", "origin": "null"},
        {"sec_fetch_site": "", "origin": "http://["},
        {"sec_fetch_site": ""},
        {"sec_fetch_site": "cross-site", "origin": "http://localhost"},
    ],
)
async def test_a_form_of_another_site_does_nothing(browser, headers):
    answer = await browser.post("/login", {"key": KEY}, **headers)
    assert answer.status_code == 403
    assert not browser.cookies
    await browser.log_in()
    assert (await browser.post("/logout", {}, **headers)).status_code == 403
    assert (await browser.get("/")).status_code == 200, "nor does it log anybody out"


async def test_a_browser_that_says_its_origin_alone_may_log_in(browser):
    host = browser.collector.operator
    answer = await browser.post("/login", {"key": KEY}, sec_fetch_site="", origin=f"http://{host}")
    assert answer.status_code == 303


ELSEWHERE = [
    "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example",
    "javascript:alert(1)", "evil.example", "/\t/evil.example", "/\n/evil.example", " //evil.example", "",
    "/x\r\nset-cookie: a=b", "/" + "x" * 3000, "/é",
]  # fmt: skip


@pytest.mark.parametrize("where", ELSEWHERE)
async def test_a_login_leads_nowhere_else(browser, where):
    assert (await browser.log_in(next=where)).headers["location"] == "/"
    query = httpx.QueryParams({"next": where})
    assert (await browser.get(f"/login?{query}")).headers["location"] == "/"
    browser.cookies = {}
    assert 'name="next" value="/"' in (await browser.get(f"/login?{query}")).text


async def test_a_path_that_looks_like_a_host_is_not_gone_on_to(browser):
    base = str(browser.client.base_url).removesuffix("/")
    for path in (f"{base}//evil.example/x", f"{base}/\\evil.example"):
        assert target(await browser.get(path)) == "/"
        again = await browser.get(path, sec_fetch_site="cross-site")
        assert 'content="0; url=/"' in again.text


async def test_a_link_of_another_site_is_followed_with_the_cookie(browser):
    """Which browsers leave out at first, and send when the page itself asks again."""
    answer = await browser.get("/feature?event=%22%3E%3Cscript%3E", sec_fetch_site="cross-site")
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/feature?event=%22%3E%3Cscript%3E"' in answer.text
    again = await browser.get("/feature?event=x", sec_fetch_site="same-origin")
    assert target(again) == "/feature?event=x"


async def test_markup_in_an_address_is_text(browser):
    answer = await browser.get('/login?next=/"><script>alert(1)</script>')
    assert "<script" not in answer.text


HOSTS = ["attacker.example", "attacker.example:8888", "127.0.0.1.attacker.example", "", PLANTED]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_name_that_is_not_ours_is_refused_whatever_the_cookie(browser, host):
    await browser.log_in()
    for path in ("/", "/login", "/api/reports/usage"):
        answer = await browser.client.get(path, headers={**HTML, "host": host,
            "cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items())})  # fmt: skip
        assert answer.status_code == 421
        assert PLANTED not in answer.text


async def test_names_are_configured(store_database, catalog, tmp_path):
    names = ("footfall.example.org", "Collector")
    async with browsing(catalog, store_database, tmp_path, hosts=names, behind_tls=True) as browser:
        for host in ("footfall.example.org", "FOOTFALL.example.org:443", "collector.", "10.0.0.7"):
            assert (await browser.get("/login", host=host)).status_code == 200, host
        bearer = {"authorization": f"Bearer {KEY}"}
        for host, status in (("collector", 200), ("attacker.example", 421)):
            answer = await browser.client.get("/metrics", headers={**bearer, "host": host})
            assert answer.status_code == status
        assert (await browser.client.get("/healthz", headers={"host": "any"})).status_code == 200
    url = "https://shown.example:8443/x"
    async with browsing(catalog, store_database, tmp_path, url=url) as browser:
        for host, status in (("shown.example:8443", 200), ("attacker.example", 421)):
            assert (await browser.get("/login", host=host)).status_code == status
        assert (await browser.client.get("/metrics", headers={**bearer, "host": "any"})).is_success


# Cookies and TLS


def cookie_of(answer):
    [line] = answer.headers.get_list("set-cookie")
    name, _, rest = line.partition("=")
    return name, {each.strip().lower().split("=")[0]: each.strip() for each in rest.split(";")[1:]}


async def test_the_cookie_is_for_this_host_alone(browser):
    name, said = cookie_of(await browser.log_in())
    assert name == "footfall"
    assert {"httponly", "samesite", "path", "max-age"} <= set(said)
    assert said["samesite"].lower() == "samesite=strict"
    assert said["max-age"] == f"Max-Age={12 * 3600}"
    assert "domain" not in said


async def refuses_by_another_name(browser, other):
    """A neighbouring host can set it, and a connection without TLS shows it."""
    [(name, cookie)] = browser.cookies.items()
    browser.cookies = {other: cookie}
    assert target(await browser.get("/")) == "/"
    assert (await browser.get("/login")).status_code == 200
    browser.cookies = {name: PLANTED, other: cookie}
    assert target(await browser.get("/")) == "/"
    await browser.post("/logout", {})
    browser.cookies = {name: cookie}
    assert (await browser.get("/")).status_code == 200, "nor does it end a login"


async def test_behind_tls_it_is_sent_with_tls_alone(store_database, catalog, tmp_path):
    async with browsing(catalog, store_database, tmp_path, behind_tls=True) as browser:
        name, said = cookie_of(await browser.log_in())
        assert name == "__Host-footfall"
        assert {"secure", "httponly", "path"} <= set(said)
        assert said["path"] == "Path=/"
        assert (await browser.get("/")).status_code == 200
        await refuses_by_another_name(browser, "footfall")


async def test_over_tls_as_well(store_database, catalog, tmp_path):
    key, certificate = make_certificate(tmp_path)
    tls = TlsConfig(cert_file=str(certificate), key_file=str(key))
    verify = ssl.create_default_context(cafile=certificate)
    async with browsing(catalog, store_database, tmp_path, verify, tls=tls) as browser:
        name, said = cookie_of(await browser.log_in())
        assert (name, "secure" in said) == ("__Host-footfall", True)
        assert (await browser.get("/")).status_code == 200
        await refuses_by_another_name(browser, "footfall")


async def test_without_tls_nobody_logs_in_from_elsewhere(browser):
    form = await browser.get("/login", host="10.0.0.7:8888")
    assert "not encrypted" in form.text
    answer = await browser.post("/login", {"key": KEY}, host="10.0.0.7:8888")
    assert (answer.status_code, browser.cookies) == (403, {})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"key=" + b"x" * 9000, "application/x-www-form-urlencoded"),
        (b"key=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=b" for _ in range(50)), "application/x-www-form-urlencoded"),
        (b'{"key": "x"}', "application/json"),
        (b"", ""),
    ],
)
async def test_what_is_no_form_is_refused(browser, body, kind):
    headers = {"sec-fetch-site": "same-origin", "content-type": kind}
    answer = await browser.client.post("/login", content=body, headers=headers)
    assert answer.status_code == 413


async def test_answers_cannot_be_framed_and_forms_go_nowhere_else(browser):
    await browser.log_in()
    inside = [
        await browser.get(path) for path in ("/", "/logout", "/api/reports/usage", "/nothing")
    ]
    browser.cookies = {}
    outside = [await browser.get(path) for path in ("/login", "/", "/metrics")]
    outside.append(await browser.log_in(NEVER))
    for answer in inside + outside:
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
    policy = outside[0].headers["content-security-policy"]
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


async def test_while_the_store_is_not_known_nobody_logs_in(browser, monkeypatch):
    async def unknown(_):
        raise login.NoSecret

    monkeypatch.setattr(page_secret.PageSecret, "__call__", unknown)
    answer = await browser.log_in()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    bearer = {"authorization": f"Bearer {KEY}"}
    assert (await browser.client.get("/metrics", headers=bearer)).status_code == 200


async def test_nothing_of_a_key_or_a_cookie_is_logged(browser):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        await browser.log_in("ffk_" + PLANTED, next=f"/{PLANTED}")
        await browser.log_in()
        [cookie] = browser.cookies.values()
        await browser.get("/")
    finally:
        root.removeHandler(handler)
    ours = "\n".join(line for line in written.getvalue().splitlines() if "HTTP Request" not in line)
    assert "somebody tried to log in" in ours
    for secret in (PLANTED, KEY, cookie):
        assert secret not in ours


async def test_without_keys_there_is_nothing_to_log_in_to(store_database, catalog):
    service = ServiceConfig(operator=OperatorConfig(endpoint="127.0.0.1:0", hosts=("my.example",)))
    config = configured(catalog, store_database, service=service)
    async with (
        running(config) as collector,
        httpx.AsyncClient(base_url=f"http://{collector.operator}", verify=False) as client,
    ):
        assert (await client.get("/", headers=HTML)).status_code == 200
        assert (await client.get("/login")).status_code == 404
        for host, status in (("my.example", 200), ("attacker.example", 421), ("10.0.0.7", 421)):
            assert (await client.get("/", headers={"host": host})).status_code == status


async def test_a_collector_of_its_own_process_over_tls(store_database, tmp_path):
    key, certificate = make_certificate(tmp_path)
    write_keys(tmp_path / "keys.yaml", boss=(OVER, {"operator": True}))
    (tmp_path / "events.yaml").write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")
    file = tmp_path / "collector.yaml"
    off = {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}}
    tls = {"cert_file": str(certificate), "key_file": str(key)}
    operator = {"endpoint": "127.0.0.1:0", "keys_file": "keys.yaml", "tls": tls}
    file.write_text(json.dumps({
        "receivers": {"otlp": {"protocols": off}},
        "exporters": {"postgres": {"dsn": store_database}},
        "processors": {"footfall": {"catalog": "events.yaml"}},
        "service": {"operator": operator},
    }))  # fmt: skip
    collector = Up(file)
    try:
        await collector.said("Ctrl-C")
        found = re.findall(r"https://(127\.0\.0\.1:\d+)", collector.log.read_text())
        verify = ssl.create_default_context(cafile=certificate)
        async with httpx.AsyncClient(base_url=f"https://{found[-1]}", verify=verify) as client:
            browser = Browser(client, None)
            assert target(await browser.get("/")) == "/"
            assert (await browser.log_in(OVER)).status_code == 303
            assert (await browser.get("/")).status_code == 200
    finally:
        assert collector.stop() == 0
    assert OVER not in collector.log.read_text()
