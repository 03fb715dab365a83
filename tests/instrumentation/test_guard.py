"""Promise 3, from inside: there is one way to survive a fault, and it lets pass what is none."""

import ast
import asyncio
import concurrent.futures
import logging
from pathlib import Path

import pytest

import footfall
from footfall._guard import at_debug, guarded

PACKAGE = Path(footfall.__file__).parent

# What catches everything by itself. In the measured path a block would cost more than an `except`.
MEASURED_PATH = {
    "_client.py: Client.adopt",
    "_client.py: Client.count",
    "_client.py: Client.event",
    "_client.py: Client.observe",
    "_feature.py: Measured.__enter__",
    "_feature.py: Measured.__exit__",
    "_feature.py: Measured._until",
    "_feature.py: Measured.fail",
    "_feature.py: Measured.set",
    "_recording/recorder.py: Recorder.check",
    "_recording/recorder.py: Recorder.failure",
    "_recording/recorder.py: Recorder.plan",
}
# These pass on what they catch: to the generator inside, or to the browser as a refusal, where
# the host had the fault; or they are what a thread ends with, below the log.
OTHERS = {
    "web/_proxy.py: Proxy._viewer",
    "_threads.py: start.run",
    "_threads.py: start.run_before_a_patch",
    "_threads.py: _make_hub",
}

PASSING = [
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    asyncio.CancelledError,
    type("GreenletExit", (BaseException,), {}),
]


def catches_everything(node):
    """Whether a handler or a `suppress()` takes every exception, and raises it no more."""
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        if isinstance(last, ast.Raise) and last.exc is None:
            return False
        caught = [node.type]
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "suppress":
        caught = node.args
    else:
        return False
    names = {n.id for each in caught if each for n in ast.walk(each) if isinstance(n, ast.Name)}
    return None in caught or bool(names & {"Exception", "BaseException"})


def catching(node, where=""):
    """The qualified names of the functions that catch everything."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from catching(child, f"{where}.{child.name}".lstrip("."))
        else:
            if catches_everything(child):
                yield where
            yield from catching(child, where)


def test_only_the_guard_and_the_measured_path_catch_everything():
    found = {
        f"{file.relative_to(PACKAGE)}: {function}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for function in catching(ast.parse(file.read_text("utf-8")))
    }
    assert found == MEASURED_PATH | OTHERS


@pytest.mark.parametrize(
    "handler", ["except:", "except Exception:", "except (OSError, Exception) as e:"]
)
def test_a_new_handler_would_be_found(handler):
    source = f"class A:\n def f(self):\n  try: pass\n  {handler} pass\n"
    assert list(catching(ast.parse(source))) == ["A.f"]


def test_a_handler_that_raises_again_is_none():
    source = "def f():\n try: pass\n except BaseException as e:\n  note(e)\n  raise\n"
    assert list(catching(ast.parse(source))) == []


def test_a_fault_is_reported_and_goes_no_further():
    told = []
    fault = ValueError("personal")
    with guarded(told.append):
        raise fault
    assert told == [fault]


def test_what_goes_well_is_not_reported():
    def first():
        with guarded(pytest.fail):
            return "first"
        return "after a fault"

    assert first() == "first"


def test_what_follows_is_done_after_a_fault():
    def first():
        with guarded(lambda _: None):
            raise ValueError
        return "after a fault"

    assert first() == "after a fault"


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
def test_what_ends_a_program_or_a_task_passes(kind):
    with pytest.raises(kind), guarded(pytest.fail):
        raise kind


def test_a_cancelled_future_is_an_error_like_others():
    """The one of `concurrent.futures` is an `Exception`, and not that of asyncio."""
    told = []
    with guarded(told.append):
        raise concurrent.futures.CancelledError
    assert [type(each) for each in told] == [concurrent.futures.CancelledError]


def test_what_a_report_raises_leaves_the_block():
    def report(error):
        raise error

    with pytest.raises(ValueError, match="ours"), guarded(report):
        raise ValueError("ours")


def test_debug_has_the_class_and_never_the_message(caplog):
    caplog.set_level(logging.DEBUG, "footfall")
    with guarded(at_debug("the exporter of spans")):
        raise ValueError("personal")
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("DEBUG", "ValueError in the exporter of spans")
    ]


class Broken:
    """A recorder of which everything fails."""

    def __getattr__(self, name):
        raise LookupError("personal")


def test_a_broken_client_hurts_nobody_and_says_so_once(caplog):
    client = footfall.Client()
    client.recorder = Broken()
    for _ in range(3):
        client.event("shop.order")
        client.count("shop.order")
        client.observe("shop.order", None, {})
        assert client.match("route", "GET /") is None
        assert client.declared("shop.order", "items") is None
        with client.feature("shop.order") as use:
            use.set(items=1)
            use.fail()
    assert [record.getMessage() for record in caplog.records] == [
        "footfall: LookupError in a call, which was ignored"
    ]


def test_a_strict_client_raises_its_own_faults():
    client = footfall.Client(strict=True)
    client.recorder = Broken()
    with pytest.raises(LookupError):
        client.match("route", "GET /")
    with pytest.raises(LookupError):
        client.event("shop.order")
