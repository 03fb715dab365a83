import dataclasses
import datetime as dt

import msgspec
import pytest

from footfall_processors import REJECTED, Batch, Loss, Policy, Service
from processors.policies import CATALOG, judge, losses, outcome


def test_everything_of_a_declared_span_finds_its_place(policy):
    verdict = judge(
        policy,
        "discord.generator",
        {
            "feature.surface": "discord",
            "feature.name": "generator",
            "feature.action": "failure",
            "feature.status": "timeout",
            "error.type": "httpx.ReadTimeout",
            "feature.sample_rate": 0.25,
            "provider": "smz3",
            "guild_id": "123456789012345678",
            "duration_ms": 1500,
            "note": "hard",
        },
    )
    assert dataclasses.asdict(verdict.shape.dimension) == {
        "event": "discord.generator",
        "surface": "discord",
        "feature": "generator",
        "action": "failure",
        "status": "timeout",
        "error_type": "provider_timeout",
        "service": "sahasrahbot",
        "service_version": "1.2.3",
        "environment": "production",
        "enums": (("provider", "smz3"),),
        "relayed_from": None,
        "telemetry_distro": None,
    }
    assert verdict.refused is None
    assert verdict.shape.sample_rate == 0.25
    assert verdict.shape.columns == ("guild_id", "note")
    assert verdict.positions == (7, 9)
    assert verdict.duration_at == 8
    assert verdict.losses == ()


def test_what_was_not_sent_is_told_as_absent(policy):
    verdict = judge(policy, "discord.generator", {"note": "x"}, service=Service())
    assert verdict.positions == (-1, 0)
    assert verdict.duration_at == -1
    assert verdict.shape.sample_rate == 1.0
    assert verdict.shape.dimension.enums == ()
    assert verdict.shape.dimension.service is None


def test_enums_are_sorted_by_name_however_they_were_sent(policy):
    one = judge(policy, "discord.generator", {"provider": "smz3", "mode": "open"})
    two = judge(policy, "discord.generator", {"mode": "open", "provider": "smz3"})
    assert one.shape.dimension.enums == (("mode", "open"), ("provider", "smz3"))
    assert one.shape is two.shape


FLOW = [
    # What is said, whether the span failed: action, status, error type.
    ({"feature.action": "invoke"}, False, ("invoke", "ok", None)),
    ({"feature.action": "invoke"}, True, ("invoke", "error", "unexpected_error")),
    ({"feature.action": "success"}, False, ("success", "ok", None)),
    ({"feature.action": "success"}, True, ("success", "ok", None)),
    ({"feature.action": "failure", "feature.status": "ok"}, False,
     ("failure", "error", "unexpected_error")),
    ({"feature.action": "success", "error.type": "timeout"}, False, ("success", "ok", None)),
    ({"feature.action": "failure"}, False, ("failure", "error", "unexpected_error")),
    ({"feature.action": "failure"}, True, ("failure", "error", "unexpected_error")),
    *(
        ({"feature.action": "failure", "error.type": sent}, True, ("failure", status, kept))
        for sent, status, kept in [
            ("provider_unavailable", "error", "provider_unavailable"),
            ("provider_timeout", "timeout", "provider_timeout"),
            ("invalid_preset", "error", "invalid_preset"),
            ("permission_denied", "denied", "permission_denied"),
            ("unexpected_error", "error", "unexpected_error"),
            ("seed_exhausted", "error", "seed_exhausted"),
            ("TimeoutError", "timeout", "timeout"),
            ("discord.errors.Forbidden", "denied", "permission_denied"),
            ("ValueError: alice@example.com", "error", "unexpected_error"),
        ]
    ),
    ({"feature.action": "failure", "feature.status": "timeout"}, True,
     ("failure", "timeout", "timeout")),
    ({"feature.action": "failure", "feature.status": "denied"}, True,
     ("failure", "denied", "permission_denied")),
    ({"feature.action": "failure", "feature.status": "error"}, True,
     ("failure", "error", "unexpected_error")),
    ({"feature.action": "failure", "feature.status": "denied", "error.type": "invalid_preset"}, True,
     ("failure", "denied", "invalid_preset")),
    ({"feature.action": "failure", "feature.status": "broken"}, True,
     ("failure", "error", "unexpected_error")),
    # A foreign span, which knows only OpenTelemetry's own conventions.
    ({}, False, ("success", "ok", None)),
    ({}, True, ("failure", "error", "unexpected_error")),
    ({"error.type": "504"}, True, ("failure", "timeout", "provider_timeout")),
    ({"error.type": "504"}, False, ("success", "ok", None)),
    ({"feature.status": "timeout"}, True, ("failure", "timeout", "timeout")),
]  # fmt: skip


@pytest.mark.requirement("A3")
@pytest.mark.requirement("A4")
@pytest.mark.parametrize(("sent", "failed", "expected"), FLOW)
def test_action_status_and_error_type_follow_from_each_other(policy, sent, failed, expected):
    assert outcome(judge(policy, "discord.generator", sent, failed=failed)) == expected


@pytest.mark.parametrize(
    ("name", "sent", "failed", "expected"),
    [
        ("discord.generator.invoke", {}, False, ("invoke", "ok", None)),
        ("discord.generator.failure", {}, False, ("failure", "error", "unexpected_error")),
        ("discord.generator.success", {}, True, ("success", "ok", None)),
        ("discord.generator.invoke", {"feature.action": "success"}, False, ("success", "ok", None)),
        ("discord.tournament.run_start", {}, False, ("run_start", "ok", None)),
        ("discord.tournament.run_start", {}, True, ("run_start", "error", "unexpected_error")),
        ("web.visit", {}, False, ("view", "ok", None)),
        ("web.visit", {}, True, ("view", "error", "unexpected_error")),
        ("web.visit.view", {}, False, ("view", "ok", None)),
        ("footfall.emitted", {}, False, ("count", "ok", None)),
    ],
)
def test_the_name_or_the_only_action_tells_the_action(policy, name, sent, failed, expected):
    assert outcome(judge(policy, name, sent, failed=failed)) == expected


def test_an_events_name_is_stored_without_its_action(policy):
    verdict = judge(policy, "discord.generator.invoke")
    assert verdict.shape.dimension.event == "discord.generator"


@pytest.mark.parametrize(
    "name", ["", "GET /users/alice", "discord", "discord.generator.delete", "Discord.Generator"]
)
def test_an_undeclared_event_is_refused(policy, name):
    assert judge(policy, name, {"feature.action": "success"}).refused is Loss.UNDECLARED_EVENT


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("discord.generator", {"feature.action": "run_start"}),  # another event's
        ("discord.generator", {"feature.action": "delete"}),  # nobody's
        ("discord.generator", {"feature.action": "SUCCESS"}),
        ("discord.generator", {"feature.action": ""}),
        ("discord.generator", {"feature.action": 5}),
        ("discord.generator.invoke", {"feature.action": "delete"}),
        ("web.visit", {"feature.action": "success"}),
        ("discord.tournament", {}),  # two actions, none of them an outcome
    ],
)
def test_an_undeclared_action_is_refused(policy, name, sent):
    for failed in (False, True):
        assert outcome(judge(policy, name, sent, failed=failed)) is Loss.UNDECLARED_ACTION


@pytest.mark.parametrize(
    ("today", "refused"),
    [
        (dt.date(2026, 11, 21), None),
        (dt.date(2026, 11, 22), None),
        (dt.date(2026, 11, 23), Loss.EXPIRED_EVENT),
        (dt.date(2099, 1, 1), Loss.EXPIRED_EVENT),
    ],
)
def test_an_event_expires_after_its_last_day(policy, today, refused):
    assert judge(policy, "old", today=today).refused is refused
    assert judge(policy, "old.success", today=today).refused is refused


def test_senders_are_told_of_refusals_of_what_is_declared_only():
    told = {Loss.EXPIRED_EVENT, Loss.OUT_OF_WINDOW, Loss.LOOP, Loss.MALFORMED, Loss.BODY}
    assert told == REJECTED
    batch = Batch(
        digest=b"",
        signal="traces",
        losses={Loss.EXPIRED_EVENT: 2, Loss.MALFORMED: 3, Loss.UNDECLARED_EVENT: 70, Loss.ENUM_VALUE: 9},
    )  # fmt: skip
    assert batch.rejected == 5


def test_undeclared_attributes_are_counted_and_gone(policy):
    verdict = judge(
        policy,
        "discord.generator",
        {
            "user.name": "alice",
            "hard": True,  # declared, but not for this event
            "mode": "open",
            "client.address": "203.0.113.77",
            "": 1,
            "alice@example.com": 1,
        },
    )
    assert losses(verdict) == {Loss.UNDECLARED_ATTRIBUTE: 5}
    assert verdict.shape.dimension.enums == (("mode", "open"),)
    assert "alice" not in repr(verdict)


def test_all_undeclared_attributes_are_one_class(policy):
    assert policy.classify("user.name", "alice") is policy.classify("client.address", ["x"])
    assert policy.classify("user.name", "alice").name == ""


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("provider", "nobody", Loss.ENUM_VALUE),
        ("provider", "SMZ3", Loss.ENUM_VALUE),
        ("provider", 1, Loss.ENUM_VALUE),
        ("provider", ["smz3"], Loss.ENUM_VALUE),
        ("feature.status", "broken", Loss.ENUM_VALUE),
        ("feature.surface", 5, Loss.ENUM_VALUE),
        ("error.type", 500, Loss.ENUM_VALUE),
        ("feature.sample_rate", 0, Loss.ENUM_VALUE),
        ("feature.sample_rate", 1.5, Loss.ENUM_VALUE),
        ("feature.sample_rate", True, Loss.ENUM_VALUE),
        ("feature.sample_rate", float("nan"), Loss.ENUM_VALUE),
        ("feature.sample_rate", "1", Loss.ENUM_VALUE),
        ("note", 5, Loss.WRONG_TYPE),
        ("note", b"x", Loss.WRONG_TYPE),
        ("note", {"a": "alice"}, Loss.WRONG_TYPE),
        ("note", "x" * 16_385, Loss.WRONG_TYPE),
        ("guild_id", "", Loss.WRONG_TYPE),
        ("guild_id", 1.5, Loss.WRONG_TYPE),
        ("guild_id", None, Loss.WRONG_TYPE),
        ("guild_id", 10**30, Loss.WRONG_TYPE),
        ("duration_ms", "5", Loss.WRONG_TYPE),
        ("duration_ms", True, Loss.WRONG_TYPE),
    ],
)
def test_a_value_that_does_not_fit_is_dropped_and_counted(policy, key, value, reason):
    verdict = judge(policy, "discord.generator", {key: value})
    assert outcome(verdict) == ("success", "ok", None)
    assert losses(verdict) == {reason: 1}
    assert verdict.positions == (-1, -1)
    assert verdict.duration_at == -1
    assert verdict.shape.dimension.enums == ()
    assert verdict.shape.sample_rate == 1.0


@pytest.mark.parametrize("value", ["123456789012345678", 123456789012345678, "\ud800", -1])
def test_a_hashed_attribute_may_be_text_or_a_number(policy, value):
    verdict = judge(policy, "discord.generator", {"guild_id": value})
    assert (verdict.positions, verdict.losses) == ((0, -1), ())


def test_of_a_repeated_attribute_the_first_counts(policy):
    verdict = judge(
        policy,
        "discord.generator",
        [
            ("note", "one"),
            ("note", "two"),
            ("provider", "smz3"),
            ("provider", "alttpr"),
            ("feature.action", "failure"),
            ("feature.action", "success"),
            ("duration_ms", 1),
            ("duration_ms", 2),
            ("user.name", "alice"),
            ("user.name", "bob"),
        ],
    )
    assert verdict.positions == (-1, 0)
    assert verdict.duration_at == 6
    assert verdict.shape.dimension.enums == (("provider", "smz3"),)
    assert outcome(verdict) == ("failure", "error", "unexpected_error")
    assert losses(verdict) == {Loss.DUPLICATE_ATTRIBUTE: 4, Loss.UNDECLARED_ATTRIBUTE: 2}


def test_a_repeated_attribute_whose_first_value_does_not_fit_is_dropped_whole(policy):
    sent = [
        ("note", 5), ("note", "two"), ("provider", "nobody"), ("provider", "smz3"),
        ("feature.status", 5), ("feature.status", "timeout"),
    ]  # fmt: skip
    verdict = judge(policy, "discord.generator", sent, failed=True)
    assert verdict.positions == (-1, -1)
    assert verdict.shape.dimension.enums == ()
    assert outcome(verdict) == ("failure", "error", "unexpected_error")
    assert losses(verdict) == {
        Loss.WRONG_TYPE: 1, Loss.ENUM_VALUE: 2, Loss.DUPLICATE_ATTRIBUTE: 3,
    }  # fmt: skip


def test_losses_of_a_refused_span_are_not_counted_twice(policy):
    assert judge(policy, "unknown", {"user.name": "alice"}).losses == ()


@pytest.mark.parametrize(
    ("sent", "rate"),
    [(1, 1.0), (0.5, 0.5), (0.12345, 0.123), (0.0001, 0.001), (1e-300, 0.001), (0.9999, 1.0)],
)
def test_sample_rates_are_kept_to_three_digits(policy, sent, rate):
    verdict = judge(policy, "discord.generator", {"feature.sample_rate": sent})
    assert (verdict.shape.sample_rate, verdict.losses) == (rate, ())


def test_the_sender_cannot_rename_surface_or_feature(policy):
    sent = {"feature.surface": "alice", "feature.name": "alice@example.com"}
    verdict = judge(policy, "discord.generator", sent)
    dimension = verdict.shape.dimension
    assert (dimension.surface, dimension.feature) == ("discord", "generator")
    assert policy.classify("feature.surface", "alice").value == ""


ANSWERS = [
    # How a request was answered, what else is said: action, status, error type.
    ({"http.response.status_code": 200}, None, ("success", "ok", None)),
    ({"http.status_code": 302}, None, ("success", "ok", None)),
    ({"http.response.status_code": 101}, None, ("success", "ok", None)),
    *(
        ({"http.response.status_code": code}, failed, ("failure", status, error))
        for failed in (None, True)
        for code, status, error in [
            (401, "denied", "permission_denied"),
            (403, "denied", "permission_denied"),
            (408, "timeout", "provider_timeout"),
            (504, "timeout", "provider_timeout"),
            (502, "error", "provider_unavailable"),
            (503, "error", "provider_unavailable"),
            (400, "error", "unexpected_error"),
            (404, "error", "unexpected_error"),
            (499, "error", "unexpected_error"),
            (500, "error", "unexpected_error"),
            (599, "error", "unexpected_error"),
        ]
    ),
    ({"http.status_code": 403}, None, ("failure", "denied", "permission_denied")),
    ({"http.status_code": "403"}, None, ("failure", "denied", "permission_denied")),
    ({"http.status_code": 404.0}, None, ("failure", "error", "unexpected_error")),
    # What is no status of HTTP tells nothing.
    *(
        ({"http.response.status_code": sent}, None, ("success", "ok", None))
        for sent in (0, -404, 1404, 40, True, "4040", "HTTP 404", "", 404.5, float("nan"), None, [404])
    ),
    # The class of an exception says more than a status that is none of the known ones.
    ({"http.response.status_code": 500, "error.type": "TimeoutError"}, True,
     ("failure", "timeout", "timeout")),
    ({"http.response.status_code": 404, "error.type": "PermissionError"}, None,
     ("failure", "denied", "permission_denied")),
    ({"http.response.status_code": 500, "error.type": "500"}, True,
     ("failure", "error", "unexpected_error")),
    ({"http.response.status_code": 403, "error.type": "TimeoutError"}, None,
     ("failure", "denied", "permission_denied")),
    ({"http.response.status_code": 403, "error.type": "seed_exhausted"}, None,
     ("failure", "error", "seed_exhausted")),
    # An answer that began well and broke off.
    ({"http.response.status_code": 200, "error.type": "ConnectionResetError"}, True,
     ("failure", "error", "provider_unavailable")),
    # What the sender said itself goes before: its span's status, our status, our action.
    ({"http.response.status_code": 404}, False, ("success", "ok", None)),
    ({"http.response.status_code": 404, "feature.status": "ok"}, None, ("success", "ok", None)),
    ({"http.response.status_code": 404, "feature.action": "success"}, None, ("success", "ok", None)),
    ({"http.response.status_code": 403, "feature.action": "failure"}, None,
     ("failure", "denied", "permission_denied")),
    ({"http.response.status_code": 403, "feature.status": "timeout"}, None,
     ("failure", "timeout", "timeout")),
    ({"http.response.status_code": 200, "feature.status": "denied"}, None,
     ("failure", "denied", "permission_denied")),
    ({"feature.status": "timeout"}, None, ("failure", "timeout", "timeout")),
    ({}, None, ("success", "ok", None)),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "failed", "expected"), ANSWERS)
def test_a_request_went_as_it_was_answered(policy, sent, failed, expected):
    assert outcome(judge(policy, "discord.generator", sent, failed=failed)) == expected


@pytest.mark.parametrize("sent", [{"http.response.status_code": 404}, {"error.type": "404"}])
def test_a_refused_request_is_called_so_by_the_catalogs_that_know_the_word(sent):
    policy = Policy(msgspec.structs.replace(CATALOG, error_types=("bad_request",)))
    verdict = judge(policy, "discord.generator", sent, failed=True)
    assert outcome(verdict) == ("failure", "error", "bad_request")


def test_an_http_status_is_known_by_what_follows_from_it(policy):
    atoms = {policy.classify("http.response.status_code", code) for code in range(100, 600)}
    assert {atom.value for atom in atoms} == {
        "", "permission_denied", "provider_timeout", "provider_unavailable", "bad_request",
        "unexpected_error",
    }  # fmt: skip
    assert len(atoms) == 6


def test_an_http_status_is_no_loss_unless_it_is_none(policy):
    assert losses(judge(policy, "old", {"http.response.status_code": 404})) == {}
    assert losses(judge(policy, "old", {"http.response.status_code": 0})) == {Loss.ENUM_VALUE: 1}
