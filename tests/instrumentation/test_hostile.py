"""No exception of Footfall's ever reaches the host, whatever it is given."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall import Client


class Hostile:
    """Every method that could be called on a value raises."""

    def _raise(self, *_: object, **__: object) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __hash__ = __eq__ = __bool__ = __len__ = __iter__ = __index__ = _raise
    __int__ = __float__ = __format__ = __getitem__ = __contains__ = __lt__ = __call__ = _raise


class Shapeless(Hostile):
    """Even asking what it is raises, which Hypothesis itself does not survive."""

    __class__ = property(Hostile._raise)  # type: ignore[assignment]


class HostileText(str):
    def _raise(self, *_: object, **__: object) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __hash__ = __eq__ = __len__ = __getitem__ = encode = isascii = _raise
    translate = __iter__ = __format__ = split = _raise


class HostileInt(int):
    def _raise(self, *_: object, **__: object) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __hash__ = __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __int__ = _raise


class Unhashed(type):
    """Of classes that are equal by name, as some table libraries have them, and so have no hash."""

    def __eq__(cls, other: object) -> bool:
        return cls.__name__ == getattr(other, "__name__", None)


class Failing(type):
    def __hash__(cls) -> int:
        raise RuntimeError("hostile")


class Row(metaclass=Unhashed): ...


class Cell(metaclass=Failing): ...


class Query(metaclass=Unhashed):
    def __await__(self) -> Any:
        yield


def recursive() -> list[Any]:
    inside: list[Any] = []
    inside.append({"again": inside})
    return inside


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=60), st.binary(max_size=20),
    st.builds(Hostile), st.builds(HostileText, st.text(max_size=5)), st.builds(HostileInt),
    st.builds(recursive), st.lists(st.integers(), max_size=3), st.just("\ud800"),
    st.integers(min_value=-(2**70), max_value=2**70), st.builds(lambda: "x" * 50_000),
    st.sampled_from(["smz3", "shop.order", "shop.visit", "invoke", "success"]),
)  # fmt: skip
attribute_names = st.sampled_from(
    [
        "guild_id",
        "user_id",
        "provider",
        "items",
        "weight",
        "gift",
        "order_id",
        "note",
        "self",
        "x y",
    ]
)
attribute_sets = st.dictionaries(attribute_names, anything, max_size=4)
events = st.one_of(st.sampled_from(["shop.order", "shop.visit", "shop.half"]), anything)

many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(attributes=attribute_sets, more=attribute_sets, error=anything)
def test_strange_values_of_declared_events_are_no_error_even_inside(
    client, attributes, more, error
):
    """The client is strict: an error of Footfall's own would be raised, not swallowed."""
    with client.feature("shop.order", **attributes) as use:
        use.set(**more)
        use.fail(error)
    client.event("shop.order", **attributes)
    client.count("shop.order", **attributes)


@pytest.fixture
def lenient(connect, received) -> Client:
    return connect(received.endpoint, strict=False)


@many
@given(event=events, action=anything, number=anything, attributes=attribute_sets, timeout=anything)
def test_no_argument_raises(lenient, event, action, number, attributes, timeout):
    with lenient.feature(event, **attributes) as use:
        use.set(**attributes)
        use.fail(action)
        use.deny()
    lenient.event(event, action, **attributes)
    lenient.count(event, number, action, **attributes)
    lenient.feature(event)(number)
    if timeout is None or isinstance(timeout, str | bytes | Hostile):
        lenient.flush(timeout)


def test_a_value_whose_very_class_raises_is_no_error(client, received, catalog):
    thing = Shapeless()
    with client.feature(
        "shop.order", provider="smz3", note=thing, guild_id=thing, items=thing
    ) as use:
        use.set(weight=thing, gift=thing, order_id=thing, preset=thing)
        use.fail(thing)  # type: ignore[arg-type]
    client.event(thing, thing, note=thing)  # type: ignore[arg-type]
    client.count(thing, thing, thing, note=thing)  # type: ignore[arg-type]
    client.count("shop.order", thing)  # type: ignore[arg-type]
    assert client.flush()
    (found,) = received.observations()
    assert (found["feature.action"], found["provider"]) == ("failure", "smz3")
    assert received.dropped() == {"wrong_type": 3 + 4 + 1, "undeclared_event": 2}
    lenient = Client()
    assert lenient.feature("shop.order")(thing) is thing
    lenient.configure(thing, thing, enabled=True, service_name=thing, errors=thing)
    assert lenient.recorder is None


@pytest.mark.parametrize("kind", [Row, Cell, Query], ids=lambda kind: kind.__name__)
def test_a_result_whose_class_has_no_hash_is_one_like_others(kind, client, received):
    results = [kind(), 1, kind()]
    measured = client.feature("shop.order")(lambda number: results[number])
    for number, result in enumerate(results):
        assert measured(number) is result
    assert client.flush()
    assert [o["feature.action"] for o in received.observations()] == ["success"] * 3


@many
@given(
    catalog=anything, endpoint=anything, enabled=st.one_of(st.just(True), anything), name=anything,
    rate=anything, errors=st.one_of(anything, st.dictionaries(st.just(ValueError), anything)),
)  # fmt: skip
def test_configure_never_raises(catalog, endpoint, enabled, name, rate, errors):
    client = Client()
    client.configure(
        catalog, endpoint, enabled=enabled, service_name=name, sample_rate=rate, errors=errors
    )
    assert client.shutdown()


def test_what_was_sent_is_still_well_formed_afterwards(client, received):
    """One bad value must not spoil the request that it travels in."""
    bad = {
        "guild_id": [Hostile(), HostileText("a"), "\ud800", recursive(), "x" * 50_000, 2**63],
        "user_id": [HostileInt(5), 2**64, -(2**63) - 1],
        "note": [HostileText("b"), "\ud800\x00", b"\xff"],
        "items": [HostileInt(7), 2**100, float("inf"), 1e308],
        "weight": [float("nan"), 10**400, -0.0],
        "order_id": [HostileText("c"), "x" * 50_000],
    }
    sent = 0
    for name, wrongs in bad.items():
        for wrong in wrongs:
            client.event("shop.order", provider="smz3", **{name: wrong})
            sent += 1
    assert client.flush()
    found = received.observations()
    assert len(found) == sent
    assert all(o["provider"] == "smz3" for o in found)
    assert {o["user_id"] for o in found if "user_id" in o} == {5}
    assert {o["guild_id"] for o in found if "guild_id" in o} == {"a", "\ufffd", str(2**63)}
    assert {o["note"] for o in found if "note" in o} == {"b", "\ufffd\ufffd"}
    assert {o["items"] for o in found if "items" in o} == {7, 100}


def test_errors_inside_are_swallowed_and_named_once_without_their_message(
    lenient, received, caplog, monkeypatch
):
    def broken(*_: object) -> None:
        raise RuntimeError("with a secret")

    monkeypatch.setattr(lenient.recorder, "check", broken)
    for _ in range(3):
        with lenient.feature("shop.order"):
            pass
        lenient.event("shop.order")
        lenient.count("shop.order")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("footfall", "WARNING")
    assert "RuntimeError" in record.getMessage()
    assert "secret" not in caplog.text


def test_a_strict_client_raises_them(client, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(client.recorder, "check", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        client.event("shop.order")
    with pytest.raises(RuntimeError, match="a bug"), client.feature("shop.order"):
        pass
