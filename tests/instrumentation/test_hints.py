"""What a developer is told about a misspelt call, and what production never logs."""

import logging

import pytest

DEVELOPMENT = ["development", "dev", "Local", "test"]


def told(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "footfall"]


@pytest.mark.parametrize("environment", DEVELOPMENT)
def test_an_undeclared_event_names_the_nearest_declared_one(connect, received, caplog, environment):
    client = connect(received.endpoint, environment=environment)
    client.event("shop.ordr")
    with client.feature("shop.visits"):
        pass
    client.count("nothing like it")
    client.event("shop.ordr")
    assert told(caplog) == [
        'footfall: the event "shop.ordr" is not declared and was not sent; did you mean "shop.order"?',
        'footfall: the event "shop.visits" is not declared and was not sent; did you mean "shop.visit"?',
        'footfall: the event "nothing like it" is not declared and was not sent',
    ]
    assert all(r.levelno == logging.WARNING for r in caplog.records)


def test_an_attribute_that_was_left_out_is_named_but_never_its_value(connect, received, caplog):
    client = connect(received.endpoint, environment="dev")
    client.event("shop.order", providr="smz3", provider="walker@example.org", items="walker")
    assert told(caplog) == [
        'footfall: shop.order does not declare the attribute "providr", which was left out; did you mean'
        ' "provider"?',
        "footfall: shop.order: the value of provider was left out: it must be one of alttpr, smz3",
        "footfall: shop.order: the value of items was left out: it must be int",
    ]


@pytest.mark.parametrize("environment", [None, "production", "staging"])
def test_elsewhere_they_are_counted_in_silence(connect, received, caplog, environment):
    client = connect(received.endpoint, environment=environment)
    client.event("user walker@example.org")
    client.event("shop.order", walker=1, provider="walker")
    assert client.flush()
    assert told(caplog) == []
    assert received.dropped() == {
        "undeclared_event": 1,
        "undeclared_attribute": 1,
        "wrong_type": 1,
    }


def test_names_without_end_neither_fill_the_memory_nor_take_long(connect, received, caplog):
    client = connect(received.endpoint, environment="dev")
    for number in range(1_000):
        client.event(f"made up {number}")
    client.event("x" * 1_000_000)
    client.event("shop.order", **{"y" * 1_000_000: 1})
    assert len(client._faults.warnings._next) <= 256
    assert all(len(message) < 300 for message in told(caplog))


def test_a_handler_that_makes_mistakes_itself_is_not_called_without_end(connect, received, caplog):
    client = connect(received.endpoint, environment="dev")

    class Careless(logging.Handler):
        calls = 0

        def emit(self, record):
            Careless.calls += 1
            for number in range(2):
                client.event(f"made up {Careless.calls} {number}")

    handler = Careless()
    logging.getLogger("footfall").addHandler(handler)
    try:
        client.event("shop.ordr")
    finally:
        logging.getLogger("footfall").removeHandler(handler)
    assert Careless.calls == 1
    assert len(told(caplog)) == 1


def test_an_action_that_an_event_does_not_have_names_the_nearest(connect, received, caplog):
    client = connect(received.endpoint, environment="dev")
    client.event("shop.order", "sucess")
    client.event("shop.order.sucess")
    client.event("shop.order.nothing like it")
    with client.feature("shop.order", "suceess"):
        pass
    client.count("shop.lamp", 3, "litt")
    client.event("shop.lamp", "broken")
    client.event("shop.lamp")
    with client.feature("shop.lamp"):
        pass
    client.observe("shop.order", "failur", {}, duration_ms=5)
    assert told(caplog) == [
        'footfall: shop.order has no action "sucess" and was not sent; did you mean "success"?',
        'footfall: the event "shop.order.nothing like it" is not declared and was not sent',
        'footfall: shop.order has no action "suceess" and was not sent; did you mean "success"?',
        'footfall: shop.lamp has no action "litt" and was not sent; did you mean "lit"?',
        'footfall: shop.lamp has no action "broken" and was not sent; it has lit, out',
        "footfall: shop.lamp was not sent: it has no such outcome, and needs one of its actions: lit, out",
        'footfall: shop.order has no action "failur" and was not sent; did you mean "failure"?',
    ]
    assert client.flush()
    assert received.dropped() == {"undeclared_event": 9}


def test_a_word_for_a_failure_that_no_catalog_has_names_the_nearest(connect, received, caplog):
    client = connect(received.endpoint, environment="dev")
    for word in ("out_of_stok", "unexpected_error", "out_of_stock", "jane" * 100, "404"):
        with client.feature("shop.order") as use:
            use.fail(word)
    assert told(caplog) == [
        'footfall: "out_of_stok" is no error type, and was sent as unexpected_error; did you mean'
        ' "out_of_stock"?',
        'footfall: "404" is no error type, and was sent as unexpected_error',
    ]


def test_in_production_neither_is_named(connect, received, caplog):
    client = connect(received.endpoint, environment="production")
    client.event("shop.order", "jane@example.org")
    with client.feature("shop.order") as use:
        use.fail("jane@example.org")
    assert client.flush()
    assert told(caplog) == []
    assert received.dropped() == {"undeclared_event": 1}
