"""What the page is made of: its files, how they are served, and what they may do."""

import gzip
import hashlib
import re
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from footfall_collector.receivers.page import PAGES, assets
from footfall_collector.telemetry.instruments import Refused
from footfall_exporters.postgres.erasing import ERASED
from footfall_exporters.postgres.retention import MISSED
from footfall_processors import Loss
from footfall_processors.catalog import Drop

PAGE = Path(__file__).parents[3] / "collector" / "footfall_collector" / "page"
MOST = 350_000
"""Bytes of everything, as browsers get them."""
LONGEST, WIDEST = 300, 120
ONE_STRING = re.compile(r"""^\s*(?:\w+: )?(["'`]).*\1[,;]?$""")
"""A line that cannot be broken."""
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
MODULES = [path for path in PAGE.rglob("*.js") if path.parent.name != "vendor"]


@pytest.fixture(scope="module")
def http(site):
    with httpx.Client(base_url=site, verify=False) as client:
        yield client


def test_every_page_has_a_policy_and_a_tag(http):
    for path, title in PAGES.items():
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        given = answer.headers["content-security-policy"]
        assert dict(part.split(" ", 1) for part in given.split("; ")) == POLICY
        assert answer.headers["cache-control"] == "private, no-cache"
        assert f"<title>{title} · Footfall</title>" in answer.text
        again = http.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert http.head(path).headers["content-length"] == answer.headers["content-length"]
        assert http.post(path).status_code == 405


def test_what_reports_say_is_still_under_the_narrow_policy(http):
    answer = http.get("/api/reports/features")
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"


def linked(http):
    html = http.get("/").text
    return re.findall(r'(?:src|href)="(/page/[0-9a-f]{16}/)([^"]+)"', html)


def test_assets_are_kept_for_ever_under_their_digest(http):
    found = linked(http)
    assert {name for _, name in found} == {
        "style.css", "parts.css", "boot.js", "vendor/echarts.common.min.js", "main.js",
    }  # fmt: skip
    prefix = found[0][0]
    for name, content in assets().items():
        answer = http.get(f"{prefix}{name}")
        assert answer.content == content == (PAGE / name).read_bytes()
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    plain = http.get(f"{prefix}boot.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (PAGE / "boot.js").read_bytes()


def test_nothing_else_is_served(http):
    prefix = linked(http)[0][0]
    for path in ("/page/0000000000000000/main.js", f"{prefix}shell.html", f"{prefix}no.js"):
        assert http.get(path).status_code == 404
    assert http.get(f"{prefix}..%2f..%2fpyproject.toml").status_code == 404


def test_everything_is_small(capsys):
    size = sum(len(gzip.compress(content, 9)) for content in assets().values())
    with capsys.disabled():
        print(f"\nthe page: {size} bytes gzipped, limit {MOST}")
    assert size <= MOST


def test_echarts_is_the_version_that_is_recorded():
    vendor = PAGE / "vendor"
    recorded = (vendor / "VERSIONS").read_text().split()
    name, version, digest = recorded
    content = (vendor / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    assert f't.version="{version}"'.encode() in content
    assert content.lstrip().startswith(b"/*\n* Licensed to the Apache Software Foundation")


def test_modules_are_short_and_parse_no_html():
    assert len(MODULES) > 15
    for path in MODULES:
        text = path.read_text()
        lines = text.splitlines()
        assert len(lines) <= LONGEST, path.name
        wide = [line for line in lines if len(line) > WIDEST and not ONE_STRING.match(line)]
        assert wide == [], path.name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text
        )
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg|127\.0\.0\.1)", text), path.name


def test_the_types_hold(workshop):
    tsc = workshop / "node_modules" / ".bin" / "tsc"
    options = (
        "--ignoreConfig --noEmit --allowJs --checkJs --strict --noUnusedLocals --noUnusedParameters"
    )
    more = "--noImplicitReturns --target es2024 --module es2022 --moduleResolution bundler"
    done = subprocess.run(
        [tsc, *options.split(), *more.split(), "--lib", "es2024,dom,dom.iterable", *MODULES],
        cwd=workshop, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    assert done.returncode == 0


def keys(name):
    """The reasons that a table of reasons.js has."""
    text = (PAGE / "reasons.js").read_text()
    table = re.search(rf"const {name} = {{\n(.*?)\n}};", text, re.DOTALL)
    return set(re.findall(r"^  (\w+): \[", table[1], re.MULTILINE))


def test_every_reason_has_words():
    assert keys("LOSSES") == {*map(str, Loss), *map(str, Drop), MISSED, ERASED}
    assert keys("REQUESTS") == set(map(str, Refused))


INJECTED = """() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", "<p id=styled style='color: red'>text</p>");
    let evaluated = false;
    try { evaluated = eval("true"); } catch { evaluated = "refused"; }
    return [window.ran ?? "refused", evaluated, getComputedStyle(document.querySelector("#styled")).color];
}"""


def test_what_is_injected_does_not_run(opened):
    at = opened()
    page = at.go("/catalog")
    ink = page.evaluate("getComputedStyle(document.body).color")
    # Playwright's own evaluation is not bound by the policy; what the page evaluates is.
    page.add_init_script(f"window.inject = {INJECTED}")
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    with page.expect_console_message(lambda said: "refused by the policy" in said.text):
        assert page.evaluate("window.inject()")[::2] == ["refused", ink]


@pytest.fixture
def elsewhere(tmp_path):
    """Another origin, without a policy of its own, which serves a folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_is_framed_by_nobody(opened, site, elsewhere):
    folder, other = elsewhere
    (folder / "inside.html").write_text("<title>inside</title>")
    frames = f"<iframe src=inside.html></iframe><iframe src='{site}/'></iframe>"
    (folder / "index.html").write_text(f"<title>outside</title>{frames}")
    page = opened(at=other).page
    with page.expect_console_message(lambda said: "frame-ancestors 'none'" in said.text):
        page.goto(f"{other}/index.html")
    titles = [frame.title() for frame in page.frames]
    assert titles[:2] == ["outside", "inside"], "others are framed"
    assert [title for title in titles[2:] if "Footfall" in title] == []
