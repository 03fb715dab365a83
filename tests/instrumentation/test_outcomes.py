"""How a use ends: success, failure, which kind of error, and what the application says about it."""

import asyncio
import contextlib

import pytest

from instrumentation.orders import FIXED, SUCCESS, failure, observed


class PresetError(ValueError):
    pass


class StockError(Exception):
    pass


class Forbidden(Exception):
    pass


class Unhashed(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other


class UnhashedError(Exception, metaclass=Unhashed):
    pass


def caused_by(error: Exception) -> Exception:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x"), failure("error", "unexpected_error")),
        (TimeoutError(), failure("timeout", "timeout")),
        (ConnectionRefusedError(), failure("error", "provider_unavailable")),
        (Forbidden(), failure("denied", "permission_denied")),
        (PresetError(), failure("error", "invalid_preset")),
        (StockError(), failure("error", "out_of_stock")),
        (caused_by(StockError()), failure("error", "out_of_stock")),
        (asyncio.CancelledError(), failure("timeout", "timeout")),
        (KeyboardInterrupt(), failure("timeout", "timeout")),
        (SystemExit(3), failure("error", "unexpected_error")),
        (SystemExit(0), SUCCESS),
        (SystemExit(), SUCCESS),
        (GeneratorExit(), SUCCESS),
    ],
    ids=repr,
)
def test_what_leaves_a_block_decides_its_outcome_and_passes_unchanged(
    connect, received, error, expected
):
    errors = {PresetError: "invalid_preset", StockError: "out_of_stock"}
    client = connect(received.endpoint, errors=errors)
    with pytest.raises(type(error)) as caught, client.feature("shop.order"):
        raise error
    assert caught.value is error
    assert observed(client, received) == [expected]
    (span,) = received.spans()
    assert span.status.code == (0 if expected is SUCCESS else 2)
    assert span.status.message == ""


def test_an_exception_that_cannot_be_looked_at_is_unexpected(client, received):
    error = UnhashedError()
    with pytest.raises(UnhashedError) as caught, client.feature("shop.order"):
        raise error
    assert caught.value is error
    with client.feature("shop.order") as use:
        use.fail(error)
    assert observed(client, received) == [failure("error", "unexpected_error")] * 2


def test_what_the_application_says_about_an_exception_wins(connect, received):
    errors = {asyncio.CancelledError: "unexpected_error", SystemExit: "invalid_preset"}
    client = connect(received.endpoint, errors=errors)
    for error in (asyncio.CancelledError(), SystemExit(0)):
        with pytest.raises(type(error)), client.feature("shop.order"):
            raise error
    found = [o["error.type"] for o in observed(client, received)]
    assert found == ["unexpected_error", "invalid_preset"]


def test_a_use_can_be_failed_denied_and_described_from_inside(client, received):
    with client.feature("shop.order", items=1, provider="smz3") as use:
        use.set(items=2, preset="open")
    with client.feature("shop.order") as use:
        use.fail("invalid_preset")
    with client.feature("shop.order") as use:
        use.fail()
    with client.feature("shop.order") as use:
        use.fail("no such word")
    with client.feature("shop.order") as use:
        use.deny()
    with client.feature("shop.order") as use:
        use.fail(TimeoutError())
    with contextlib.suppress(ValueError), client.feature("shop.order") as use:
        use.fail("out_of_stock")
        raise ValueError
    assert observed(client, received) == [
        SUCCESS | {"items": 2, "provider": "smz3", "preset": "open"},
        failure("error", "invalid_preset"),
        failure("error", "unexpected_error"),
        failure("error", "unexpected_error"),
        failure("denied", "permission_denied"),
        failure("timeout", "timeout"),
        failure("error", "out_of_stock"),
    ]


def test_events_without_the_usual_actions_send_what_their_catalog_has(client, received):
    with client.feature("shop.visit", provider="smz3"):  # its only action: visit
        pass
    with pytest.raises(ValueError, match="x"), client.feature("shop.visit"):
        raise ValueError("x")
    with client.feature("shop.press"):  # its only action: invoke, which is not counted twice
        pass
    with client.feature("shop.lamp"):  # neither success nor anything else that fits
        pass
    found = [
        (o["event"], o["feature.action"], o["feature.status"]) for o in observed(client, received)
    ]
    assert found == [
        ("shop.visit", "visit", "ok"),
        ("shop.visit", "visit", "error"),
        ("shop.press", "invoke", "ok"),
    ]
    assert received.count("shop.press") == received.count("shop.visit") == 0
    assert received.emitted() == {"shop.visit": 2, "shop.press": 1}
    assert received.dropped() == {"undeclared_event": 1}


def test_instants_have_an_action(client, received):
    client.event("shop.order")
    client.event("shop.order", "failure", provider="alttpr")
    client.event("shop.order", action="invoke")
    client.event("shop.visit")
    client.event("shop.lamp", "lit")
    client.event("shop.lamp")  # which of two?
    client.event("shop.lamp", "blown")
    client.event("shop.unknown")
    assert observed(client, received) == [
        SUCCESS,
        failure("error", "unexpected_error") | {"provider": "alttpr"},
        FIXED | {"feature.action": "invoke", "feature.status": "ok"},
        {"event": "shop.visit", "feature.surface": "web", "feature.name": "visit"}
        | {"feature.action": "visit", "feature.status": "ok"},
        {"event": "shop.lamp", "feature.surface": "web", "feature.name": "lamp"}
        | {"feature.action": "lit", "feature.status": "ok"},
    ]
    assert received.dropped() == {"undeclared_event": 3}
