"""`footfall up --dev`: the API is on, and believes developers; nowhere else can it be made to."""

import json

import httpx
import pytest

from collector.http_api.conftest import HERE, SALT
from conftest import new_database
from support.up import FOOTFALL, Up

BODY = {"event": "suggestion_shown"}


def configuration(folder, dsn="", endpoint="127.0.0.1:0", **receivers):
    file = folder / "collector.yaml"
    protocols = {"grpc": None, "http": {"endpoint": endpoint}}
    file.write_text(
        json.dumps(
            {
                "receivers": {"otlp": {"protocols": protocols}, **receivers},
                "processors": {
                    "footfall": {"catalog": str(HERE / "events.yaml"), "hash_salt": SALT}
                },
                "exporters": {"postgres": {"dsn": dsn}},
                "service": {"operator": None},
            }
        )
    )
    return file


@pytest.fixture(scope="module")
def developing(postgres_server, tmp_path_factory):
    with new_database(postgres_server) as dsn:
        up = Up(configuration(tmp_path_factory.mktemp("dev"), dsn), "--dev")
        import asyncio

        address = asyncio.run(up.address("OTLP/HTTP"))
        with httpx.Client(base_url=f"http://{address}", timeout=30, verify=False) as http:
            yield http
        up.stop()


@pytest.mark.requirement("B3")
def test_a_header_or_the_sites_own_page_with_a_cookie_names_the_viewer(developing):
    cookie = {"cookie": "sd_viewer=me_1"}
    host = str(developing.base_url).rstrip("/")
    for named in (
        {"x-sd-viewer": "me_1"},
        cookie | {"sec-fetch-site": "same-origin"},
        cookie | {"origin": host},
    ):
        assert developing.post("/telemetry/ingest", json=BODY, headers=named).json() == {"ok": True}
    for other in (
        cookie | {"sec-fetch-site": "cross-site"},
        cookie | {"origin": "https://elsewhere.example"},
        cookie,
    ):
        answer = developing.post("/telemetry/ingest", json=BODY, headers=other)
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert developing.post("/telemetry/ingest", json=BODY).status_code == 401


@pytest.mark.requirement("B5")
def test_it_has_the_page_that_shows_developers_what_is_counted_of_them(developing):
    page = developing.get("/developer/telemetry")
    assert page.headers["content-type"].startswith("text/html")
    assert 'data-endpoint="/telemetry/summary"' in page.text
    asked = developing.get("/telemetry/summary?days=7", headers={"cookie": "sd_viewer=me_1"})
    assert asked.json()["ok"] is True
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert developing.get("/developer/telemetry?dashboard.js").text.startswith("//")


def test_no_other_collector_has_that_page(api):
    assert api.http.get("/developer/telemetry").status_code == 404


def refused(*command):
    import subprocess

    done = subprocess.run(
        [*FOOTFALL, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    return done.stderr


def test_without_it_there_is_no_such_viewer(tmp_path, empty_database):
    asked = {"http_api": {"identity": {"development": True}}}
    said = refused("--config", str(configuration(tmp_path, empty_database, **asked)))
    assert "would let anybody be whom they like" in said
    assert "footfall up --dev" in said


def test_it_is_for_this_machine_alone(tmp_path):
    said = refused("--config", str(configuration(tmp_path, endpoint="0.0.0.0:0")), "--dev")
    assert "`--dev` believes anybody: use 127.0.0.1" in said


@pytest.mark.requirement("B6")
def test_the_switch_answers_404_before_anybody_is_asked_who_they_are(tmp_path, empty_database):
    import asyncio

    up = Up(configuration(tmp_path, empty_database, http_api={"enabled": False}))
    try:
        address = asyncio.run(up.address("OTLP/HTTP"))
        for path in ("ingest", "track", "events"):
            answer = httpx.post(f"http://{address}/telemetry/{path}", content=b"{", verify=False)
            assert (answer.status_code, answer.json()["error"]) == (404, "telemetry_disabled")
        answer = httpx.get(f"http://{address}/telemetry/summary", headers={"x-sd-viewer": "me"})
        said = {"ok": False, "error": "telemetry_disabled"}
        assert (answer.status_code, answer.json()) == (404, said)
    finally:
        up.stop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"processors": {"footfall": {"catalog": str(HERE / "events.yaml")}}}, "needs a TELEMETRY_HASH_SALT"),
        ({"service": {"pipelines": {"logs": {"exporters": ["otlp"]}}}}, "needs the store"),
        ({"receivers": {"http_api": {}, "otlp": {"protocols": {"http": None}}}}, "leave `protocols.http` on"),
        ({"receivers": {"http_api": {"prefixes": ["telemetry"]}}}, "/api/telemetry"),
        ({"receivers": {"http_api": {"attributes": {"viewer": "button_id"}}}}, "give it `hash: static`"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_before_anything_starts(tmp_path, change, said):
    file = configuration(tmp_path, http_api={})
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert said in refused("--config", str(file))
