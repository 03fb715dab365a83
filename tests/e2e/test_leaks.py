"""Secrets in every place that OTLP has, over each protocol, in every situation: a search finds none.

A real `footfall up` is taken through all of it once (leaks/story.py); the tests look at what it left behind.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from random import Random

import pytest

from e2e.leaks.collecting import Evidence
from e2e.leaks.planting import KINDS, PERSONAL, Book, Place, Planted
from e2e.leaks.requests import DEFAULTS, SIGNALS
from e2e.leaks.searching import Hit, Search, escaped, forms
from e2e.leaks.sending import SENDER, WAYS
from e2e.leaks.story import tell

KEEPING = ("data directory", "WAL", "spool", "tables", "received", "event log")
"""Where declared values belong."""
SILENT = {
    "server log": ["execute <unnamed>: INSERT INTO", "DETAIL:  Parameters: $1 = "],
    "log": ["Postgres is away", "Fatal Python error: Segmentation fault", "SQLSTATE 23514",
            "the spool fails: database or disk is full", "(the backend answered HTTP 400)"],
    "/metrics": ["otelcol_receiver_accepted_spans"],
    "/readyz": ['"ready":true'],
    "/healthz": ['"alive":true'],
    "shared metrics": ["otelcol_receiver_accepted_spans"],
    "answers": ["its `expires` date in the catalog has passed", "the store refuses this data",
                "Error parsing 'grpc-encoding' metadata", "Invalid HTTP request received.",
                "Disallowed CORS origin", "the collector is busy"],
    "received headers": ["application/x-protobuf"],
}  # fmt: skip
"""Where no value belongs, declared or not; with what must be there."""
OTHERS = ("spool when full", "spool afterwards", "output", "anything else")
"""Where declared values may be."""
FAMILIES = [
    "user.*",
    "enduser.*",
    "device.id",
    "client.address",
    "client.port",
    "network.peer.*",
    "net.peer.*",
    "geo.*",
    "url.full",
    "url.path",
    "url.query",
    "url.fragment",
    "http.url",
    "http.target",
    "http.*.header.*",
    "user_agent.original",
    "http.user_agent",
    "exception.message",
    "exception.stacktrace",
    "db.query.*",
    "db.statement",
    "process.command*",
    "process.owner",
    "host.name",
    "host.ip",
    "browser.document.url.*",
    "feature_flag.context.id",
    "k8s.pod.name",
]
"""Personal data that senders emit by default (OpenTelemetry semantic conventions)."""
PLACES = {
    "traces": """
        span name | status message | trace state | trace id | span event | exception | stack
        | attribute of a span event (email) | link trace state | link attribute | attribute key
        | attribute of a link (email) | span scope name | span scope version | span scope attribute
        | span scope schema | span resource schema | span resource key | span resource user.email
        | map key | nested value | array under an enum | bytes under a text | number under a text
        | text under a number | number beyond the limit | hashed text | hashed number
        | note (email) | error type (url)""",
    "metrics": """
        metric name | description | unit | metadata | exemplar | attribute of a exemplar (email)
        | metric attribute | metric key | metric enum | metric hash | metric resource user.email
        | metric scope name | metric scope version | attribute of a histogram | metric name (card)
        | footfall.emitted emitted_event | footfall.dropped drop_reason""",
    "logs": """
        severity text | event name | event name attribute | body key | body value | log exception
        | log attribute key | log hashed text | log map key | log bytes under a text
        | log resource user.email | log scope name | log scope version | note (email)
        | body of a plain line (email) | attribute of a body (jwt)""",
}
"""Places that attribute allowlists forget."""
ANSWERS = {
    "accepted": ("OK", "200"),
    "partly refused": ("PARTIAL", "PARTIAL"),
    "malformed": ("INVALID_ARGUMENT", "400"),
    "too large": ("RESOURCE_EXHAUSTED", "413"),
    "wrong key": ("UNAUTHENTICATED", "401"),
    "wrong service": ("PERMISSION_DENIED", "403"),
    "wrong path": ("UNIMPLEMENTED", "404"),
    "wrong type": (None, "415"),
    "bad gzip": ("INTERNAL", "400"),
    "too many": ("RESOURCE_EXHAUSTED", "429"),
    "overload": ("UNAVAILABLE", "503"),
    "refused by the store": ("INVALID_ARGUMENT", "400"),
    "statement fails": ("OK", "200"),
    "Postgres away": ("OK", "200"),
    "spool full": ("UNAVAILABLE", "503"),
}
"""How each situation is answered over gRPC and over HTTP."""
Hits = Callable[[str], list[tuple[str, Hit]]]
# Whoever asks first waits for the whole story, or for the search of a place.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def evidence(pristine: Path) -> Evidence:
    return tell(pristine)


@pytest.fixture(scope="module")
def hits(evidence: Evidence) -> Hits:
    """Everything that is in a place, of all that was sent and of what the operator keeps secret."""
    book, own = evidence.book, evidence.known.planted()
    address = Planted("sender / address", SENDER, (SENDER,))
    search = Search([*book.secrets, *book.declared, *book.lost, *own.values(), address])
    return cache(
        lambda place: [
            (name, hit)
            for name, content in evidence.places[place].items()
            for hit in search.find(content)
        ]
    )


def report(hits: list[tuple[str, Hit]], but: Iterable[Planted] = ()) -> list[str]:
    """A line for each of the first, leaving out these."""
    known = set(but)
    return [f"{name}: {hit}" for name, hit in hits if hit.planted not in known][:40]


def found(text: str, contents: dict[str, bytes]) -> bool:
    search = Search([Planted(text, text, (text,))])
    return any(search.find(content) for content in contents.values())


# What must be nowhere


@pytest.mark.parametrize("place", [*KEEPING, *OTHERS])
def test_nothing_but_declared_values_is_stored_and_sent_on(
    evidence: Evidence, hits: Hits, place: str
) -> None:
    assert report(hits(place), but=[*evidence.book.declared, *evidence.book.lost]) == []


@pytest.mark.parametrize("place", SILENT)
def test_nothing_at_all_is_logged_counted_and_answered(
    evidence: Evidence, hits: Hits, place: str
) -> None:
    # What the operator has it send is there, where it belongs.
    sent = [evidence.known.planted()["backend"]] if place == "received headers" else []
    assert set(sent) <= {hit.planted for _, hit in hits(place)}
    assert report(hits(place), but=sent) == []


# What must be found, by the same search


@pytest.mark.parametrize("place", KEEPING)
def test_declared_values_are_found_where_they_belong(
    evidence: Evidence, hits: Hits, place: str
) -> None:
    situation = "Postgres away" if place == "spool" else ""
    wanted = [each for each in evidence.book.declared if each.where.startswith(situation)]
    if place == "WAL":  # its oldest part may have gone
        wanted = [each for each in wanted if each.where.startswith("Postgres away")]
    if place == "received":  # a few requests were refused for good
        wanted = [each for each in wanted if each.where.startswith(("Postgres", "statement"))]
    assert len(wanted) >= 9
    there = {hit.planted for _, hit in hits(place)}
    assert [each.where for each in wanted if each not in there] == []


@pytest.mark.parametrize("place", SILENT)
def test_the_silent_places_have_been_searched(evidence: Evidence, place: str) -> None:
    for text in SILENT[place]:
        assert found(text, evidence.places[place]), text


def test_personal_values_in_a_declared_text_were_stored_as_their_kinds(evidence: Evidence) -> None:
    kinds = {match for note in evidence.redacted for match in re.findall(r"\[(\w+)\]", note)}
    assert kinds == {"email", "ip", "phone", "card", "jwt", "key", "id", "mention", "url"}


def test_hashed_values_were_stored_as_their_hashes(evidence: Evidence) -> None:
    guilds, visitors, teams = evidence.hashed
    whole = [name for name, (code, _) in ANSWERS.items() if code in ("OK", "PARTIAL")]
    assert guilds >= len(whole) * len(PERSONAL) * len(WAYS) * 2  # traces and logs
    assert min(visitors, teams) >= len(whole) * len(WAYS)


# What was done


@pytest.mark.parametrize("situation", ANSWERS)
def test_every_situation_came_about(evidence: Evidence, situation: str) -> None:
    over_grpc, over_http = ANSWERS[situation]
    signals = ("traces",) if situation == "wrong path" else SIGNALS
    answers = dict.fromkeys(WAYS, over_http) | {"grpc": over_grpc}
    expected = {(way, s): {answers[way]} for way in WAYS for s in signals if answers[way]}
    assert evidence.codes[situation] == expected


def test_every_place_has_a_secret(evidence: Evidence) -> None:
    planted = {each.where for each in evidence.book.secrets}
    for situation in ("accepted", "statement fails", "Postgres away", "refused by the store"):
        for way in WAYS:
            for signal, places in PLACES.items():
                wanted = {
                    " / ".join((situation, way, signal, p.strip())) for p in places.split("|")
                }
                assert wanted - planted == set()


def test_every_attribute_that_senders_emit_by_default_has_a_secret(evidence: Evidence) -> None:
    assert [f for f in FAMILIES if not any(fnmatch(key, f) for key in DEFAULTS)] == []
    planted = {each.where for each in evidence.book.secrets}
    for key in DEFAULTS:
        name = f"accepted / json / traces / {key}"
        assert any(where.startswith(name) for where in planted), key


# The processes


def test_command_lines_hold_no_secret_and_environments_only_the_operators(
    evidence: Evidence,
) -> None:
    own = Search(evidence.known.planted().values())
    given = {f"{name}={value}".encode() for name, value in evidence.operators.items()}
    assert len(evidence.processes) == 3
    for process in evidence.processes:
        assert own.find(process.arguments) == []
        if process.environment is not None:  # else nobody but root may read it
            variables = set(process.environment.strip(b"\0").split(b"\0"))
            added = {each.partition(b"=")[0] for each in variables - given}
            assert added <= {b"GRPC_VERBOSITY", b"LC_CTYPE"}  # Python adds the latter (PEP 538)


def test_no_process_leaves_its_memory_behind(evidence: Evidence) -> None:
    for process in evidence.processes:
        assert process.core == ["0", "0"]
        # proc(5): root owns what is shown of a process that must not be dumped.
        assert process.dump_owner == (0, 0) != process.identity
    # core(5): `core`, or with what `core_pattern` appends; a time zone may hold the letters too.
    dumps = re.compile(r"(^|/)core([.\-_][^/]*)?$|\.core$")
    assert not [name for name in evidence.places["anything else"] if dumps.search(name)]


def test_it_came_through_all_of_it_and_stopped_well(evidence: Evidence) -> None:
    assert evidence.status == 0
    log = b"".join(evidence.places["log"].values())
    assert b"Traceback" not in log
    assert b"an error was not caught" not in log


# The search itself


def noise(length: int) -> bytes:
    return Random(length).randbytes(length)


@pytest.fixture(scope="module")
def book() -> Book:
    book = Book()
    for kind in KINDS:
        Place(book, "a test").of(kind, "a value")
    return book


def test_every_kind_is_found_in_every_form_wherever_it_stands(book: Book) -> None:
    search = Search(book.secrets)
    for planted in book.secrets:
        for core in planted.cores:
            for form in forms(core):
                for at in range(8):
                    content = noise(800 + at) + form.content + noise(90)
                    hits = search.find(content)
                    assert planted in [hit.planted for hit in hits], (planted, form)


def test_a_part_is_found(book: Book) -> None:
    search = Search(book.secrets)
    for planted in book.secrets:
        for core in planted.cores:
            for at in range(8):
                assert search.find(noise(80 + at) + core[1:13].encode() + noise(9)), planted


def test_what_is_compressed_or_escaped_is_found(book: Book) -> None:
    search, value = Search(book.secrets), book.secrets[0].value
    text = f'{{"a": "{value}"}}'.encode()
    contents = {"gzip": gzip.compress(text), "zlib": zlib.compress(text), **escaped(value)}
    for name, content in contents.items():
        assert value.encode() not in content
        assert search.find(noise(77) + content + noise(9)), name


def test_numbers_are_found_in_binary() -> None:
    book = Book()
    search, number = Search([]), Place(book, "a test").number("a number")
    for form in ("<q", ">q", "<d", ">d"):
        assert search.find(noise(33) + struct.pack(form, number) + noise(9)), form
    assert Search(book.secrets).find(noise(5) + str(number).encode())
    assert Search(book.secrets).find(noise(5) + repr(float(number)).encode())


def test_noise_is_no_secret(book: Book) -> None:
    assert Search(book.secrets).find(noise(2**22)) == []
