"""R-numbers D6 and D8: `POST /psr` keeps one rating of each prompt, owner and day, the last one.

`{prompt_id, version?, rating: 1..5, note?, source}` → `{avg_rating, total_ratings}`
"""

import hashlib
import hmac
import json
import re
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from collector.http_api.conftest import SALT, collector
from collector.keyed import NAMES
from conftest import new_database
from footfall_collector.config.http_api import AttributesConfig
from footfall_collector.decoding.decoder import Decoding
from footfall_collector.receivers.api.errors import ApiError
from footfall_collector.receivers.api.psr import Psr, Rater
from footfall_collector.security.identity.identity import Identity
from footfall_exporters.postgres.ratings import Standing
from footfall_processors import load_catalog, static_salts
from support.waiting import wait_until

PROMPT = "3f0c2b52-9f0e-4f57-9a55-0a4c33a1b2c3"
HASHED = "hashed"
NOBODY_KNOWS = {"avg_rating": None, "total_ratings": None}
ROWS = "SELECT rating, source, version, note FROM footfall.ratings ORDER BY rating"
PERSONAL = "ada.lovelace@example.org"


@pytest.fixture(scope="module")
def shared(postgres_server, tmp_path_factory):
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path_factory.mktemp("psr"), dsn, psr={"enabled": True})
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def api(shared):
    """A collector that has no ratings."""
    with psycopg.connect(shared.dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM footfall.ratings")
    return shared


def rating(stars=4, **changed):
    said = {"prompt_id": PROMPT, "version": "3", "rating": stars, "source": "copy", **changed}
    return {name: value for name, value in said.items() if value is not ...}


def rate(api, stars=4, viewer="walker-1", path="/psr", **changed):
    return api.post(path, rating(stars, **changed), viewer=viewer)


def pseudonym(name, value):
    message = f"\0shop\0{name}\0{value}".encode()
    return uuid.UUID(bytes=hmac.new(SALT.encode(), message, hashlib.sha256).digest()[:16])


# The contract


def test_a_note_that_was_cut_within_an_emoji_is_kept(api):
    """As JavaScript's `slice` cuts, and its `JSON.stringify` writes it."""
    assert rate(api, note="Worked \ud83d").status_code == 200
    assert api.query("SELECT note FROM footfall.ratings") == [("Worked \N{REPLACEMENT CHARACTER}",)]


@pytest.mark.requirement("D6")
@pytest.mark.parametrize("path", ["/psr", "/telemetry/psr", "/api/telemetry/psr"])
def test_a_rating_is_kept_of_whom_and_what_as_a_pseudonym(api, path):
    answer = rate(api, note="Worked at once.", path=path)
    assert (answer.status_code, answer.json()) == (200, NOBODY_KNOWS)
    assert answer.headers["cache-control"] == "no-store"
    assert '"user";r=' in answer.headers["ratelimit"]
    assert api.query("SELECT prompt, owner, rating, source, version, note FROM footfall.ratings") == [
        (str(pseudonym("prompt_id", PROMPT)), pseudonym("owner_id", "walker-1"), 4, "copy", "3",
         "Worked at once.")
    ]  # fmt: skip


@pytest.mark.requirement("D6")
@pytest.mark.parametrize("source", ["copy", "duplicate", "manual", "other"])
@pytest.mark.parametrize(
    "more", [{}, {"version": ..., "note": ...}, {"version": None, "note": None}]
)
def test_every_source_is_one_and_version_and_note_need_not_be(api, source, more):
    assert rate(api, source=source, **more).status_code == 200
    version = None if more else "3"
    assert api.query(ROWS) == [(4, source, version, None)]


@pytest.mark.requirement("D6")
def test_the_last_of_a_day_stands_whatever_its_version_or_source(api):
    rate(api, 1, note="no")
    rate(api, 5, version="4", source="manual", path="/telemetry/psr")
    assert api.query(ROWS) == [(5, "manual", "4", None)]
    rate(api, 2, viewer="walker-2")
    rate(api, 3, prompt_id=str(uuid.uuid4()))
    assert [stars for stars, *_ in api.query(ROWS)] == [2, 3, 5]


@pytest.mark.requirement("D6")
def test_average_and_number_are_told_once_five_have_rated(api):
    for number, stars in enumerate((5, 5, 4, 1)):
        assert rate(api, stars, viewer=f"walker-{number}").json() == NOBODY_KNOWS
    assert rate(api, 2, viewer="walker-4").json() == {"avg_rating": 3.4, "total_ratings": 5}
    assert rate(api, 3, viewer="walker-4").json() == {"avg_rating": 3.6, "total_ratings": 5}
    assert rate(api, 3, prompt_id="another").json() == NOBODY_KNOWS


@pytest.mark.requirement("D6")
@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        ("invalid_rating", {"rating": 0}),
        ("invalid_rating", {"rating": 6}),
        ("invalid_rating", {"rating": -1}),
        ("invalid_rating", {"rating": 10**30}),
        ("invalid_rating", {"rating": 4.5}),
        ("invalid_rating", {"rating": 4.0}),
        ("invalid_rating", {"rating": "4"}),
        ("invalid_rating", {"rating": True}),
        ("invalid_rating", {"rating": None}),
        ("invalid_rating", {"rating": [4]}),
        ("invalid_rating", {"rating": ...}),
        ("invalid_request", {"rating": float("nan")}),
        ("invalid_request", {"rating": float("inf")}),
        ("invalid_rating", {"prompt_id": ...}),
        ("invalid_rating", {"prompt_id": ""}),
        ("invalid_rating", {"prompt_id": 7}),
        ("invalid_rating", {"prompt_id": None}),
        ("invalid_rating", {"prompt_id": "x" * 257}),
        ("invalid_rating", {"prompt_id": "a\x00b"}),
        ("invalid_rating", {"prompt_id": "a\nb"}),
        ("invalid_rating", {"prompt_id": {"id": 7}}),
        ("invalid_rating", {"source": ...}),
        ("invalid_rating", {"source": None}),
        ("invalid_rating", {"source": PERSONAL}),
        ("invalid_rating", {"source": "Copy"}),
        ("invalid_rating", {"version": 3}),
        ("invalid_rating", {"version": ["3"]}),
        ("invalid_rating", {"note": 7}),
        ("invalid_rating", {"note": {"text": PERSONAL}}),
        ("invalid_request", {"body": "what somebody wrote"}),
        ("invalid_request", {"more": [{"body": None}]}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_rating_is_refused(api, error, wrong):
    answer = api.post("/psr", json.dumps(rating(**wrong)).encode())
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert api.query(ROWS) == []
    assert PERSONAL not in answer.text + api.up.log.read_text()


def test_it_says_what_would_be_right(api):
    for wrong, right in (
        ({"rating": 9}, "`rating` must be a whole number from 1 to 5"),
        ({"rating": ...}, "`rating` must be a whole number from 1 to 5"),
        ({"source": "x"}, "`source` must be copy, duplicate, manual or other"),
        ({"prompt_id": "\t"}, "`prompt_id` must be text of 1 to 256 characters that can be seen"),
        ({"body": 1}, "a key `body` may hold what somebody wrote"),
    ):
        assert api.post("/psr", rating(**wrong)).json()["message"] == right


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"4", b"\xff\xfe", b"[" * 9000, b'{"a":' * 3000, b'{"rating": 4}{}'],
    ids=lambda body: repr(body)[:20],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(api, body):
    answer = api.post("/psr", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert api.query(ROWS) == []


def test_of_a_key_that_is_there_twice_the_last_counts_and_unknown_ones_are_left_out(api):
    said = (
        f'{{"prompt_id": "{PROMPT}", "rating": 1, "rating": 5, "source": "copy", "user_id": "x"}}'
    )
    assert api.post("/psr", said.encode()).status_code == 200
    answer = rate(api, 2, viewer="walker-2", owner="walker-1", owner_id="walker-1", title="x" * 99)
    assert answer.status_code == 200
    owners = dict(api.query("SELECT owner, rating FROM footfall.ratings"))
    assert owners == {pseudonym("owner_id", "walker-1"): 5, pseudonym("owner_id", "walker-2"): 2}


def test_media_types_methods_and_sizes(api):
    for said in ("text/plain", "application/x-www-form-urlencoded"):
        answer = api.post("/psr", rating(), content_type=said)
        assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
    answer = rate(api, note="x" * 2**14)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert api.http.get("/psr").status_code == 405
    assert api.query(ROWS) == []


def test_a_page_of_an_allowed_origin_may_rate(api):
    asks = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    asks["access-control-request-headers"] = "content-type"
    answer = api.http.options("/psr", headers=asks)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    other = api.http.options("/psr", headers=asks | {"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


# Who


@pytest.mark.requirement("D6")
def test_somebody_must_be_known_whose_rating_it_is(api):
    for headers in (
        {},
        {"authorization": f"Bearer {api.key}"},
        {"authorization": f"Bearer {NAMES}"},
        {"authorization": "Bearer ffk_wrong"},
        {"authorization": "Bearer ey.ey.ey"},
    ):
        answer = api.post("/psr", rating(), viewer=None, **headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "no_viewer")
        assert answer.headers["www-authenticate"] == "Bearer"
    headers = {"authorization": f"Bearer {api.key}", "footfall-viewer": "walker-9"}
    assert api.post("/psr", rating(), viewer=None, **headers).status_code == 403
    assert api.query(ROWS) == []


def test_a_backend_may_rate_for_whom_it_names(api):
    headers = {"authorization": f"Bearer {NAMES}", "footfall-viewer": "walker-9"}
    assert api.post("/psr", rating(), viewer=None, **headers).status_code == 200
    [[owner]] = api.query("SELECT owner FROM footfall.ratings")
    assert owner == pseudonym("owner_id", "walker-9")


@pytest.mark.requirement("D4")
def test_a_user_has_so_many_a_minute(api):
    answers = [rate(api, viewer="busy") for _ in range(121)]
    assert {answer.status_code for answer in answers[:120]} == {200}
    assert answers[120].status_code == 429
    assert answers[120].json()["error"] == "rate_limited"
    assert 1 <= int(answers[120].headers["retry-after"]) <= 60


# Notes

SHORT = "the second step is missing"


@pytest.mark.requirement("D3")
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (SHORT, SHORT),
        (f"  {SHORT}\n", SHORT),
        ("", None),
        ("   ", None),
        ("x" * 300, "x" * 280),
        ("ä" * 281, "ä" * 280),
        (f"ask {PERSONAL} about it", "ask [email] about it"),
        ("call +49 170 1234567 now", "call [phone] now"),
        ("from 192.0.2.17", "from [ip]"),
        ("<@123456789012345678> knows", "[mention] knows"),
        ("see https://example.org/p?user=ada", "see [url]"),
        (f"{'x' * 265} {PERSONAL}", f"{'x' * 265} [email]"),
        (f"{'x' * 279} {PERSONAL}", f"{'x' * 279}"),
        (f"{'x ' * 150}{PERSONAL}", ("x " * 140).strip()),
        ("a\x00b", "a\ufffdb"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_note_is_redacted_and_only_then_cut(api, written, kept):
    assert rate(api, note=written).status_code == 200
    assert api.query(ROWS) == [(4, "copy", "3", kept)]


def test_half_an_address_is_not_saved_by_the_cut(api):
    """Cut first, it would end in `ada.lovelace@exam`, which is no address."""
    for before in range(255, 281):
        assert rate(api, note="x" * before + " " + PERSONAL, viewer=f"w-{before}").is_success
    notes = [note for *_, note in api.query(ROWS)]
    assert len(notes) == 26
    assert not [note for note in notes if "ada" in note or "love" in note]


def test_a_version_is_redacted_and_cut_as_well(api):
    rate(api, 1, version=f"of {PERSONAL}", viewer="a")
    rate(api, 2, version="v" * 100, viewer="b")
    rate(api, 3, version="", viewer="c")
    assert [version for _, _, version, _ in api.query(ROWS)] == ["of [email]", "v" * 64, None]


# What else the store keeps


def test_an_owner_is_found_and_forgotten_as_the_document_says(api, monkeypatch):
    for viewer in ("walker-1", "walker-2"):
        rate(api, viewer=viewer)
    document = (Path(__file__).parents[3] / "docs" / "psr.md").read_text()
    [(program, deletion)] = re.findall(
        r"OWNER=\$\(python -c '([^']+)' me_1\)\n.*--command \"([^\"]+)\"", document
    )
    monkeypatch.setenv("TELEMETRY_HASH_SALT", SALT)
    found = subprocess.run(
        [sys.executable, "-c", program, "walker-1"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(pseudonym("owner_id", "walker-1"))
    with psycopg.connect(api.dsn) as connection:
        connection.execute(deletion.replace("$OWNER", found.stdout.strip()))
    [(owner,)] = api.query("SELECT owner FROM footfall.ratings")
    assert owner == pseudonym("owner_id", "walker-2")


def test_nothing_of_a_rating_is_an_event_or_a_loss(api):
    rate(api)
    rate(api, 9)
    assert api.query("SELECT count(*) FROM footfall.ingest_batches") == [(0,)]
    assert api.counts() == {}
    assert api.losses() == {}
    assert api.query("SELECT reason FROM reporting.losses WHERE signal = ''") == []


class Kept:
    """Notes what it is to keep."""

    def __init__(self):
        self.ratings = []

    async def rate(self, rating):
        self.ratings.append(rating)
        return Standing()


def rater(tmp_path, declared):
    file = tmp_path / "events.yaml"
    events = {"seen": {"surface": "web", "feature": "x"}}
    attributes = {"prompt_id": declared} if declared else {}
    file.write_text(json.dumps({"product": "shop", "attributes": attributes, "events": events}))
    kept = Kept()
    decoding = Decoding(load_catalog(file), static_salts(SALT))
    return Rater(AttributesConfig(), decoding, kept), kept


async def prompt_as_kept(tmp_path, declared, prompt_id):
    made, kept = rater(tmp_path, declared)
    await made.rate(Psr(prompt_id=prompt_id, rating=4, source="copy"), Identity(viewer="w"))
    return kept.ratings[0].prompt


@pytest.mark.parametrize(
    ("declared", "prompt_id", "expected"),
    [
        (None, "p1", HASHED),
        ({"type": "string", "hash": "static"}, "p1", HASHED),
        ({"type": "string", "max_length": 9}, "summarise-it", "summarise"),
        ({"type": "string"}, PERSONAL, "[email]"),
        ({"type": "uuid"}, PROMPT.upper(), PROMPT),
        ({"type": "enum", "values": ["summary", "mail"]}, "mail", "mail"),
    ],
)
async def test_a_prompt_is_hashed_unless_the_catalog_declares_it_without(
    tmp_path, declared, prompt_id, expected
):
    if expected is HASHED:
        expected = str(pseudonym("prompt_id", prompt_id))
    assert await prompt_as_kept(tmp_path, declared, prompt_id) == expected


@pytest.mark.parametrize(
    ("declared", "prompt_id"),
    [
        ({"type": "uuid"}, "p1"),
        ({"type": "enum", "values": ["summary"]}, "mail"),
        ({"type": "int"}, "7"),
    ],
)
async def test_a_prompt_that_is_not_what_the_catalog_declares_is_refused(
    tmp_path, declared, prompt_id
):
    with pytest.raises(ApiError, match="`prompt_id` must be what the catalog declares"):
        await prompt_as_kept(tmp_path, declared, prompt_id)


# Two collectors, and none


def test_while_postgres_does_not_answer_it_is_503_and_then_goes_on(api):
    with psycopg.connect(api.dsn) as other:
        other.execute("LOCK TABLE footfall.ratings")
        answer = rate(api, viewer="waits")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        other.rollback()
    wait_until(lambda: rate(api, viewer="waits").status_code == 200)
    assert api.query(ROWS) == [(4, "copy", "3", None)]


@pytest.mark.requirement("D6")
def test_two_collectors_that_race_for_a_rating_keep_one(api, tmp_path):
    other = collector(tmp_path, api.dsn, psr={"enabled": True})
    try:
        with ThreadPoolExecutor(8) as clients:
            for round_ in range(12):
                prompt = f"raced-{round_}"
                sent = [
                    clients.submit(rate, each, stars, prompt_id=prompt, viewer=f"r-{round_}")
                    for stars, each in enumerate([api, other] * 2, 1)
                ]
                assert [answer.result().status_code for answer in sent] == [200] * 4
        rows = api.query("SELECT prompt, count(*), max(rating) FROM footfall.ratings GROUP BY 1")
        assert len(rows) == 12
        assert all(number == 1 and 1 <= stars <= 4 for _, number, stars in rows)
    finally:
        other.http.close()
        assert other.up.stop() == 0


@pytest.mark.requirement("D6")
@pytest.mark.parametrize(
    ("section", "error"),
    [
        ({}, "feature_disabled"),
        ({"enabled": False, "psr": {"enabled": True}}, "telemetry_disabled"),
    ],
)
def test_where_it_is_off_it_is_404_before_anybody_is_asked_who_they_are(
    tmp_path, empty_database, section, error
):
    off = collector(tmp_path, empty_database, **section)
    try:
        for path in ("/psr", "/telemetry/psr"):
            answer = off.post(path, b"{", viewer=None)
            assert (answer.status_code, answer.json()["error"]) == (404, error)
    finally:
        off.http.close()
        off.up.stop()
