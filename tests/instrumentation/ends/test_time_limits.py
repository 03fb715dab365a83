"""What a signal handler of the host raises while our code runs: a time limit, as of RQ, an order to end."""

import enum
import functools
import signal
import time

import pytest

from instrumentation.orders import observed


class Limit(Exception):
    """As `JobTimeoutException` of RQ, and `SoftTimeLimitExceeded` of Celery."""


def over(*_):
    raise Limit


class Over:
    def method(self, *_):
        raise Limit

    def __call__(self, *_):
        raise Limit


HANDLERS = {
    "function": over,
    "method": Over().method,
    "partial": functools.partial(over, 1),
    "object": Over(),
}


@pytest.fixture(params=HANDLERS)
def limit(request):
    """The host's handler of SIGALRM."""
    before = signal.signal(signal.SIGALRM, HANDLERS[request.param])
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def client(connect, received):
    """As programs have it: faults are swallowed."""
    return connect(received.endpoint, strict=False)


class Value(str):
    """The signal comes while somebody looks at it."""

    __slots__ = ()

    def __hash__(self):
        signal.raise_signal(signal.SIGALRM)
        return super().__hash__()


class Kind(type):
    def __hash__(cls):
        signal.raise_signal(signal.SIGALRM)
        return super().__hash__()


class Result(metaclass=Kind): ...


class Leaves(SystemExit):
    @property
    def code(self):
        signal.raise_signal(signal.SIGALRM)


def enter(client, **attributes):
    with client.feature("shop.order", **attributes):
        pass


def say(client):
    with client.feature("shop.order") as use:
        use.set(provider=Value("smz3"))


CALLS = {
    "event": lambda client: client.event("shop.order", provider=Value("smz3")),
    "the name of an event": lambda client: client.event(Value("shop.order")),
    "count": lambda client: client.count("shop.order", provider=Value("smz3")),
    "observe": lambda client: client.observe("shop.order", None, {"provider": Value("smz3")}),
    "feature": lambda client: enter(client, provider=Value("smz3")),
    "set": say,
    "fail": lambda client: client.feature("shop.order").fail(Leaves()),
    "match": lambda client: client.match(Value("route"), "GET /"),
}


@pytest.mark.parametrize("call", CALLS)
def test_it_passes_in_every_call(client, received, limit, call):
    with pytest.raises(Limit):
        CALLS[call](client)
    client.event("shop.visit")
    assert observed(client, received)[-1]["event"] == "shop.visit"


def test_it_passes_where_a_result_is_looked_at(client, limit):
    @client.feature("shop.order")
    def result():
        return Result()

    with pytest.raises(Limit):
        result()


@pytest.mark.parametrize("wait", ["flush", "shutdown"])
def test_it_ends_a_wait_for_the_collector(client, received, limit, wait):
    received.held = True
    client.event("shop.order")
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    begun = time.monotonic()
    with pytest.raises(Limit):
        getattr(client, wait)(30)
    assert time.monotonic() - begun < 20


def test_an_error_that_is_of_no_handler_is_a_fault_as_ever(client, received, limit):
    class Size(enum.Enum):
        SMALL = 1

    class Odd(str):
        __slots__ = ()

        def __hash__(self):
            return hash(Size(5))  # as SIG_DFL, an enum

    client.event("shop.order", provider=Odd("smz3"))
    assert len(observed(client, received)) == 1
    assert received.dropped() == {"wrong_type": 1}
