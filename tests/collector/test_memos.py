import tracemalloc

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from collector.decoded import SMALL, as_result, decode, expected, limit
from collector.spans import DAY, NOW_US, SALTS, body_of, key_value, one_span
from footfall_collector.decoding import budget, memo, plans
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Policy
from support import reference


def hostile_requests():
    """Requests in which nothing repeats itself: names, keys, values, resources, messages, shapes, days."""
    for n in range(120):  # first other services and days, then always the same
        service, age = (f"service-{n}", n % 8 * DAY) if n < 60 else ("shop", 0)
        end = NOW_US * 1000 - age
        attributes = [
            key_value(f"key{n}", string_value="x"),
            key_value("k" * 200 + str(n), string_value="x"),
            key_value("http.url", string_value=f"https://shop/{n}"),
            key_value("guild_id", string_value=f"guild {n}"),
            key_value("team_id", int_value=1000 + n),
            key_value("note", string_value=f"note {n}"),
            key_value("ratio", double_value=n / 121),
            key_value("seed", string_value=f"0d6bbde3-9f1d-4b58-9f0e-{n:012}"),
            key_value("error.type", string_value=f"Error{n}"),
            key_value("feature.sample_rate", double_value=(n + 1) / 121),
            key_value("http.route", string_value=f"/files/{n}" if n % 2 else f"/users/{n}"),
            key_value("http.request.method", string_value=f"METHOD{n}"),
            key_value("http.response.status_code", int_value=n * 10),
        ]
        spans = [
            one_span("shop.survey", *attributes[n % 13 :], end=end),
            one_span(f"GET /users/{n}", *attributes[: n % 10], end=end),
            one_span(f"survey {n}", *attributes[n % 13 :], end=end, kind=n % 5),
            one_span(f"GET {n}", *attributes[10:], end=end, kind=2),
            one_span(end=end, status=Status(code=2, message=f"user {n}")),
        ]
        yield body_of(*spans, service=service)


@pytest.mark.parametrize("rules", ["policy", "ruled"])
def test_no_memo_outgrows_its_limit(request, rules, monkeypatch):
    limit(monkeypatch, SMALL)
    policy = request.getfixturevalue(rules)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    for body in hostile_requests():
        decode(pipe, body)
        contexts = pipe.contexts
        most = SMALL["MOST"] // budget.ENTRY
        assert len(contexts.atoms) <= most + 1  # the mark is always there
        assert len(contexts.atoms._seen) <= most
        assert len(contexts.atoms._undeclared) <= most
        assert len(contexts.statuses) <= SMALL["VALUES_PER_KEY"]
        assert len(contexts._services) <= SMALL["LIMIT"]
        assert len(contexts._plans) <= SMALL["LIMIT"]
        assert len(contexts._values) <= SMALL["DAYS"]
        forms = [form for known in contexts._plans.values() for form in known._forms.values()]
        # Those of a slice are remembered before anything is forgotten: a form, and two plans for each span.
        assert sum(1 + len(form) for form in forms) <= most + 1 + 2 * SMALL["SLICE"]
        assert len(contexts.atoms.mixed) <= SMALL["VALUES_PER_KEY"]
        for day in contexts._values.values():
            assert sum(map(len, day.values())) <= most


def test_services_that_just_fit_are_not_forgotten(policy, monkeypatch):
    limit(monkeypatch, SMALL)
    monkeypatch.setattr(budget, "MOST", 10**6)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    services = [f"service-{n}" for n in range(SMALL["LIMIT"])]
    for service in services:
        decode(pipe, body_of(one_span("shop.order"), service=service))
    before = list(pipe.contexts._plans.values())
    for service in services:
        decode(pipe, body_of(one_span("shop.order"), service=service))
    assert list(pipe.contexts._plans.values()) == before
    assert len(before) == SMALL["LIMIT"]


def test_spans_of_too_many_attributes_to_remember_leave_nothing_behind(policy, monkeypatch):
    """No plan is remembered for them, though the declared attributes are at other places each time."""
    limit(monkeypatch, SMALL)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    many = [key_value("http.url", string_value="x")] * 300
    declared = key_value("guild_id", string_value="1"), key_value("note", string_value="x")
    for n in range(60):
        sent = one_span("shop.survey", *many[:n], declared[0], *many[n:], declared[1])
        decode(pipe, body_of(sent))
        for plans_ in pipe.contexts._plans.values():
            assert len(plans_._extracts) <= SMALL["MOST"] // plans.PLAN


def test_long_values_that_never_come_again_take_no_memory(policy):
    """Queries, stack traces and messages: what plain OpenTelemetry instrumentation sends by the megabyte."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)

    def feed(round_):
        for n in range(10):
            texts = [f"{round_} {n} {i} ".ljust(8192, "x") for i in range(50)]
            sent = [
                one_span(f"GET {text}", key_value("db.query.text", string_value=text))
                for text in texts
            ]
            sent += [
                one_span("shop.order", key_value("guild_id", string_value=text), key_value(text))
                for text in texts
            ]
            for each, text in zip(sent, texts + texts, strict=True):
                each.status.message = text
            decode(pipe, body_of(*sent, service=texts[0]))

    feed(0)
    tracemalloc.start()
    feed(1)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2 * 2**20  # of 20 MB that were sent


def values_of_eight_days(n):
    """Hashed, of eight days and three periods; and as many undeclared ones, names and services."""
    for day in range(8):
        for name in ("guild_id", "player_id", "note", "seed"):
            yield (
                f"shop.order {n % 5}",
                key_value(name, string_value=f"{n} {day}".ljust(200, "x")),
                day,
            )


def test_all_memos_together_take_what_they_are_allowed(policy, monkeypatch):
    """Whatever is sent, to both kinds of senders; more of the catalog, or of its days, takes no more."""
    monkeypatch.setattr(budget, "MOST", 2**20)
    shared = budget.Budget()
    pipes = [
        Pipeline(rules, SALTS, lambda: NOW_US * 1000, shared)
        for rules in (policy, Policy(policy.catalog, relay=True))
    ]

    def feed(numbers):
        for n in numbers:
            spans = [
                one_span(
                    name, pair, key_value(f"k{n}", string_value="x"), end=NOW_US * 1000 - day * DAY
                )
                for name, pair, day in values_of_eight_days(n)
            ]
            decode(pipes[n % 2], body_of(*spans, service=f"service {n}"))

    feed(range(5))
    tracemalloc.start()
    feed(range(5, 400))
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shared.used <= 2**20
    assert grown < 1.5 * 2**20  # of 5 MB of values that differ
    assert peak < 3 * 2**20


def test_long_names_that_never_come_again_take_no_memory(policy):
    """A statement or a path as a span's name, with one span a request, or several that differ."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    pair = key_value("provider", string_value="smz3")
    decode(pipe, body_of(one_span("GET /", pair)))
    tracemalloc.start()
    for n in range(250):
        decode(pipe, body_of(one_span(f"SELECT {n} ".ljust(8192, "x"))))
        sent = [one_span(f"SELECT {n} {i} ".ljust(4096, "x"), pair) for i in range(2)]
        decode(pipe, body_of(*sent))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2**20  # of 4 MB that were sent


def test_attributes_that_stand_for_their_classes_are_the_declared_ones_only(policy):
    """However many values a sender gives to an enum, and however it writes them."""
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    usual = [key_value("provider", string_value=value) for value in ("smz3", "alttpr")]
    padded = usual[0].SerializeToString() + b"\x78\x05"
    other = [key_value("provider", string_value=f"other {n}") for n in range(50)]
    elsewhere = [key_value("guild_id", string_value=f"{n}") for n in range(50)]
    for _ in range(2):
        for mixed in (usual, [*usual, *other], [*usual, *elsewhere]):
            sent = [one_span("shop.order", pair) for pair in mixed]
            body = body_of(*sent)
            assert as_result(decode(pipe, body)) == expected(pipe, SALTS, reference.official(body))
    body = body_of(
        one_span("shop.order", usual[0]),
        one_span("shop.order").SerializeToString() + b"\x4a" + bytes([len(padded)]) + padded,
    )
    assert as_result(decode(pipe, body)) == expected(pipe, SALTS, reference.official(body))
    known = pipe.contexts.atoms.usual
    assert set(known) == {pair.SerializeToString() for pair in usual}
    for plans_ in pipe.contexts._plans.values():
        for form in plans_._forms.values():
            sent = [part for key in form for part in key[form._first :] if isinstance(part, bytes)]
            assert all(part is known[part] for part in sent)  # not one of each request


def test_what_a_usual_attribute_looks_like_is_found_out_once_for_each_class(policy, monkeypatch):
    """However many names an exception has: each is `unexpected_error`, which none of them spells."""
    pipe, asked = Pipeline(policy, SALTS, lambda: NOW_US * 1000), []
    encode = memo.otlp.encoded_text
    monkeypatch.setattr(
        memo.otlp, "encoded_text", lambda *text: asked.append(text) or encode(*text)
    )
    pairs = [key_value("error.type", string_value=f"Strange{n}") for n in range(100)]
    decode(pipe, body_of(*[one_span("shop.order", pair, status=Status(code=2)) for pair in pairs]))
    assert asked == [("error.type", "unexpected_error")]
