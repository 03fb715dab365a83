"""The page as a host of the browser client: never broken or held up, and told what is sent in development."""

import json
import shutil
import subprocess
from importlib.resources import as_file, files
from typing import Any

import pytest

from instrumentation.browser_client.conftest import (
    SESSION,
    TRACK,
    Open,
    Shop,
)
from instrumentation.browser_client.server import Telemetry

NASTY = """
const cyclic = {}; cyclic.self = cyclic;
const thrower = {get variant() { throw new Error("getter") }, source: "card"};
const deep = JSON.parse("[".repeat(5000) + "]".repeat(5000));
const hostile = new Proxy({}, {get() { throw new Error("get") }, has() { throw new Error("has") },
    ownKeys() { throw new Error("keys") }, getPrototypeOf() { throw new Error("prototype") }});
const revoked = Proxy.revocable({}, {}); revoked.revoke();
window.nasty = [undefined, null, true, 0, -0, 7n, NaN, Infinity, "", "a".repeat(1e6), "\\ud800", "\\0",
    Symbol("s"), Symbol.iterator, () => {}, class {}, cyclic, thrower, deep, hostile, revoked.proxy, [], [1],
    new Date(NaN), new Map(), new Uint8Array(9), /x/, new Error("e"), Promise.resolve(1), window, document,
    Object.create(null), {toString() { throw new Error("string") }}, {toJSON() { throw new Error("json") }},
    {valueOf() { throw new Error("value") }}, {__proto__: null, body: "b"}, new Number(3), new String("s")];
"""


def test_nothing_that_a_page_does_makes_it_throw(shop: Open, telemetry: Telemetry) -> None:
    page = shop(before=NASTY)
    fields = ["prompt_id", "version", "source", "variant", "latency_ms", "result_count"]
    thrown = page.run(
        """fields => {
            const thrown = [];
            const attempt = (...rest) => {
                try { footfall.track(...rest) } catch (error) { thrown.push(String(error)) }
            };
            for (const value of nasty) {
                attempt(value);
                attempt(value, {variant: "json"});
                attempt(value, 3);
                if (typeof value != "number") attempt("share.viewed", value);
                for (const field of fields.slice(0, 4)) attempt("prompt_copied", {[field]: value});
            }
            attempt();
            footfall.flush();
            return thrown;
        }""",
        fields,
    )
    assert thrown == []
    page.settled(0)
    page.run("footfall.flush()")
    assert page.wrong() == []
    assert {event["event"] for event in telemetry.events} == {"share.viewed", "prompt_copied"}
    received = {json.dumps(r.json) for r in telemetry.requests}
    assert not any("body" in text for text in received)


def test_no_configuration_makes_it_throw(shop: Open, telemetry: Telemetry) -> None:
    page = shop(before=NASTY)
    thrown = page.run("""async () => {
        const thrown = [];
        for (const value of nasty) {
            const all = ["endpoint", "ingest", "events", "consent", "dev", "timeout"];
            for (const name of [null, ...all]) {
                try {
                    footfall.configure(name ? {consent: true, [name]: value} : value);
                    footfall.consent(value);
                    footfall.consent(true);
                    footfall.track("share.viewed", {variant: "json"});
                    if (["endpoint", "ingest", "timeout"].includes(name)) footfall.flush();
                    footfall.status();
                } catch (error) { thrown.push(String(error)) }
                await null;
            }
        }
        return thrown;
    }""")
    assert thrown == []
    page.page.wait_for_timeout(300)
    assert page.wrong() == []


LACKS = {
    "no fetch": "delete window.fetch;",
    "fetch throws": "window.fetch = () => { throw new Error('no') };",
    "fetch rejects": "window.fetch = () => Promise.reject(undefined);",
    "fetch answers nothing": "window.fetch = () => undefined;",
    "fetch answers nonsense": "window.fetch = async () => ({status: 200});",
    "fetch never ends": "window.fetch = () => new Promise(() => {});",
    "no AbortController": "delete window.AbortController;",
}


@pytest.mark.parametrize("lack", LACKS)
def test_it_keeps_what_it_cannot_send(shop: Open, lack: str) -> None:
    page = shop(before=LACKS[lack], timeout=200)
    for _ in range(3):
        page.run(TRACK, [0, 100])
        page.run("footfall.flush()")
    page.page.wait_for_function("footfall.status().dropped == 100")
    page.settled(200)
    assert page.wrong() == []


WITHOUT = {
    "no crypto": "Object.defineProperty(window, 'crypto', {value: undefined});",
    "no randomUUID": "delete Crypto.prototype.randomUUID;",
    "no randomness": "Crypto.prototype.randomUUID = Crypto.prototype.getRandomValues"
    " = () => { throw new Error('no') };",
    "no storage": "for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])"
    " Object.defineProperty(window, name, {get() { throw new DOMException('no') }});",
    "no idle callback": "window.requestIdleCallback = undefined;",
    "no console": "window.console = undefined;",
}


@pytest.mark.parametrize("lack", WITHOUT)
def test_it_sends_without(shop: Open, telemetry: Telemetry, lack: str) -> None:
    page = shop(before=WITHOUT[lack])
    page.run(TRACK, [0, 60])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 60)
    assert len(telemetry.keys) == 2
    assert page.wrong() == []


def test_it_sends_from_an_insecure_page(shop: Open, telemetry: Telemetry) -> None:
    page = shop(origin=telemetry.origin.replace("127.0.0.1", "shop.test"))
    assert page.run("[isSecureContext, typeof crypto.randomUUID]") == [False, "undefined"]
    page.run(TRACK, [0, 1])
    page.run("footfall.flush()")
    telemetry.wait(lambda t: len(t.events) == 1)
    assert SESSION.fullmatch(telemetry.events[0]["session_id"])


def test_tracking_never_waits_for_a_server_that_hangs(shop: Open, telemetry: Telemetry) -> None:
    page = shop(timeout=None)
    telemetry.failing = "hang"
    worst = page.run("""async () => {
        let worst = 0;
        for (let n = 0; n < 20; n++) {
            const start = performance.now();
            for (let i = 0; i < 50; i++) footfall.track("prompt_copied", {latency_ms: i});
            footfall.flush();
            worst = Math.max(worst, performance.now() - start);
            await new Promise(done => setTimeout(done, 10));
        }
        return worst;
    }""")
    assert worst < 200


def test_on_a_server_that_renders_pages_it_does_nothing() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    script = """
        globalThis.fetch = () => { console.log("fetched") };
        const footfall = await import(process.argv[1]);
        footfall.configure({consent: true});
        footfall.consent(true);
        footfall.track("share.viewed");
        footfall.flush();
        console.log(JSON.stringify(footfall.status()));
    """
    with as_file(files("footfall") / "browser" / "footfall.js") as source:
        command = [node, "--input-type=module", "--eval", script, source.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert json.loads(done.stdout) == {"allowed": False, "queued": 0, "dropped": 0}


# Development


def printed(page: Shop) -> list[str]:
    lines: list[str] = []
    page.page.on(
        "console", lambda said: lines.append(said.text) if "footfall" in said.text else None
    )
    return lines


@pytest.mark.parametrize(
    ("dev", "host", "sends"),
    [
        (True, "127.0.0.1", False),
        ("localhost", "127.0.0.1", False),
        ("localhost", "localhost", False),
        ("localhost", "shop.localhost", False),
        ("localhost", "localhost.test", True),
        (False, "127.0.0.1", True),
    ],
)
def test_in_development_what_would_be_sent_is_printed(
    shop: Open, telemetry: Telemetry, dev: Any, host: str, sends: bool
) -> None:
    page = shop(dev=dev, origin=telemetry.origin.replace("127.0.0.1", host))
    lines = printed(page)
    page.run("""() => {
        footfall.track("prompt_copied", {latency_ms: 1});
        footfall.track("suggestion_shown", 2);
        footfall.track("Not A Name");
        footfall.flush();
    }""")
    if sends:
        telemetry.wait(lambda t: len(t.requests) == 2)
        assert lines == []
        return
    page.settled(0)
    page.page.wait_for_timeout(50)
    assert telemetry.requests == []
    assert lines[0] == "footfall: not declared: Not A Name"
    mark, url, body = lines[1].split(" ", 2)
    assert (mark, url) == ("footfall", "/telemetry/events")
    assert json.loads(body)["events"][0]["latency_ms"] == 1
    assert lines[2] == 'footfall /telemetry/ingest {"event":"suggestion_shown","count":2}'
