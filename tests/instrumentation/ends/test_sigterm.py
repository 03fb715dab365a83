"""SIGTERM: what waits is sent, and the host ends as it would have ended without Footfall."""

import itertools
import signal
import sys
import textwrap
import time

import pytest

from footfall import Client
from footfall._ends import sigterm
from footfall._lifecycle import Lifecycle
from instrumentation import programs
from support.waiting import happens

PROGRAM = """
import asyncio, faulthandler, os, signal, sys, threading, time
import footfall
{before}
footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
footfall.event("shop.order")
{after}
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.5)
print("lives")
"""
HANDLER = "signal.signal(signal.SIGTERM, lambda *_: {})"
TERMINATED = -signal.SIGTERM


@pytest.fixture
def ended(catalog):
    """Runs the program; its status and what it printed."""

    def run(endpoint, before="", after="", **variables):
        before, after = textwrap.dedent(before), textwrap.dedent(after)
        names = {"catalog": str(catalog), "endpoint": endpoint}
        done = programs.run("-c", PROGRAM.format(before=before, after=after, **names), **variables)
        assert not done.stderr
        return done.returncode, done.stdout

    return run


def test_a_program_dies_by_the_signal_when_what_waits_is_sent(ended, received):
    assert ended(received.endpoint) == (TERMINATED, "")
    assert len(received.spans()) == 1
    assert received.emitted() == {"shop.order": 1}


@pytest.mark.parametrize("what", ["sys.exit(3)", "os._exit(3)", "print('mine') or sys.exit(3)"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_of_the_host_decides(ended, received, when, what):
    printed = "mine\n" if "mine" in what else ""
    assert ended(received.endpoint, **{when: HANDLER.format(what)}) == (3, printed)
    assert len(received.spans()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_signal_that_is_ignored_stays_ignored(ended, received, when):
    ignored = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    assert ended(received.endpoint, **{when: ignored}) == (0, "lives\n")
    assert len(received.spans()) == 1


@pytest.mark.parametrize(
    "after",
    [
        # it calls what it found
        """
        found = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *given: print("mine") or found(*given))
        """,
        # it puts back what it found, and raises the signal again
        """
        found = signal.signal(signal.SIGTERM, lambda *_: print("mine"))
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, found)
        """,
        # the same, and Footfall was configured again meanwhile
        """
        found = signal.signal(signal.SIGTERM, lambda *given: print("mine") or found(*given))
        footfall.configure(footfall.default.recorder.catalog, enabled=True)
        """,
    ],
)  # fmt: skip
def test_a_handler_that_the_host_set_later_may_pass_it_on(ended, received, after):
    assert ended(received.endpoint, after=after) == (TERMINATED, "mine\n")
    assert len(received.spans()) == 1


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_handler_of_asyncio_decides(ended, received, order):
    loop = """
        loop = asyncio.new_event_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: print("mine") or loop.stop())
    """
    run = """
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        loop.run_forever()
        loop.close()
        sys.exit(4)
    """
    parts = {"before": loop, "after": run} if order == "before" else {"after": loop + run}
    assert ended(received.endpoint, **parts) == (4, "mine\n")
    assert len(received.spans()) == 1


def test_what_a_server_still_does_before_it_ends_is_sent(ended, received):
    after = """
        time.sleep(0.1)
        signal.raise_signal(signal.SIGTERM)
        footfall.event("shop.visit")
        time.sleep(3)
        os._exit(5)
    """
    assert ended(received.endpoint, "signal.signal(signal.SIGTERM, lambda *_: None)", after) == (
        5,
        "",
    )
    assert len(received.spans()) == 2
    assert received.emitted() == {"shop.order": 1, "shop.visit": 1}


@pytest.mark.parametrize(
    "found",
    [
        "footfall.configure = lambda *_, **__: None",  # as a program without it
        "os.environ['FOOTFALL_EXIT_HOOKS'] = 'false'",
        "faulthandler.register(signal.SIGTERM, open(os.devnull, 'w'), chain=True)",
        "import tkinter",
    ],
)
def test_nothing_is_hooked_where_it_is_not_wanted_or_would_do_harm(ended, received, found):
    if "tkinter" in found:
        pytest.importorskip("tkinter")
    after = "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)"
    plain = found.startswith("footfall.configure")
    if plain:
        after = f"footfall.event = print\n{after}"
    assert ended(received.endpoint, found, after) == (TERMINATED, "True\n")
    assert not received.spans()


def test_the_argument_leaves_the_signal_alone(catalog, received):
    assert (
        programs.python(
            f"""
            import signal, footfall
            footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True, exit_hooks=False)
            print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
            """
        )
        == "True\n"
    )


def test_shutdown_puts_back_what_was_there(catalog, received):
    assert (
        programs.python(
            f"""
            import signal, footfall
            mine = lambda *_: None
            signal.signal(signal.SIGTERM, mine)
            footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
            hooked = signal.getsignal(signal.SIGTERM)
            footfall.shutdown()
            print(hooked is mine, signal.getsignal(signal.SIGTERM) is mine)
            """
        )
        == "False True\n"
    )


@pytest.mark.parametrize("meanwhile", ["", "thread.join()"], ids=["during it", "after it"])
def test_what_is_configured_while_another_thread_shuts_down_is_sent_as_well(
    ended, catalog, received, received_http, meanwhile
):
    received.held = True
    after = f"""
        thread = threading.Thread(target=footfall.shutdown)
        thread.start()
        while footfall.default.recorder is not None:
            time.sleep(0.01)
        os.environ["FOOTFALL_PROTOCOL"] = "http/protobuf"
        footfall.configure({str(catalog)!r}, {received_http.endpoint!r}, enabled=True)
        footfall.event("shop.visit")
        {meanwhile}
        logging.disable()
    """
    assert ended(received.endpoint, "import logging", after) == (TERMINATED, "")
    assert received_http.emitted() == {"shop.visit": 1}


def test_a_thread_that_configures_can_hook_nothing_and_does_not_fail(catalog, received):
    done = programs.run(
        "-c",
        textwrap.dedent(
            f"""
            import os, signal, threading, footfall
            def start():
                footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
                footfall.event("shop.order")
            thread = threading.Thread(target=start)
            thread.start()
            thread.join()
            assert footfall.default.recorder is not None
            os.kill(os.getpid(), signal.SIGTERM)
            """
        ),
    )
    assert (done.returncode, done.stderr) == (TERMINATED, "")


@pytest.mark.parametrize(
    "held",
    ["recorder.counters._lock", "_faults.warnings._lock", "_lifecycle._changing"],
    ids=["recorder.counters._lock", "_warnings._lock", "_changing"],
)
def test_a_lock_that_the_interrupted_code_holds_keeps_nothing(ended, received, held):
    after = f"""
        with footfall.default.{held}:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
    """
    begun = time.monotonic()
    assert ended(received.endpoint, after=after) == (TERMINATED, "")
    assert time.monotonic() - begun < 20
    assert len(received.spans()) == 1
    assert received.emitted() == {"shop.order": 1}


def test_a_collector_that_hangs_keeps_nobody(ended, received):
    received.held = True
    begun = time.monotonic()
    assert ended(received.endpoint) == (TERMINATED, "")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("way", ["os.kill(os.getpid(), signal.SIGTERM)", "os._exit(3)"])
def test_a_client_does_not_wait_for_the_collector_of_another(
    catalog, received, received_http, way, last
):
    """Of a `WeakSet`, in which either may come first: hence several of those that hang."""
    received.held = True
    hanging = f"others = [started({received.endpoint!r}, 'grpc') for _ in range(4)]"
    done = programs.run(
        "-c",
        textwrap.dedent(
            f"""
            import os, signal, footfall
            def started(endpoint, protocol):
                os.environ["FOOTFALL_PROTOCOL"] = protocol
                client = footfall.Client()
                client.configure({str(catalog)!r}, endpoint, enabled=True)
                client.event("shop.order")
                return client
            {hanging if last else ""}
            one = started({received_http.endpoint!r}, "http/protobuf")
            {"" if last else hanging}
            {way}
            """
        ),
    )
    assert done.returncode in (TERMINATED, 3)
    assert len(received_http.spans()) == 1
    assert received_http.emitted() == {"shop.order": 1}


def test_counters_go_out_with_the_first_spans(catalog, received):
    code = f"""
        import sys, footfall
        footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
        with footfall.feature("shop.order"):
            pass
        sys.stdin.read()
    """
    with programs.started(code, OTEL_BSP_SCHEDULE_DELAY="50") as process:
        assert happens(received.spans)
        assert happens(lambda: received.count("shop.order", feature_action="invoke"))
        process.kill()
        assert process.communicate() == ("", "")
    assert len(received.spans()) == 1
    assert received.count("shop.order", feature_action="invoke") == 1


def test_one_that_comes_between_any_two_instructions_of_shutdown_finds_what_waits(
    catalog, received
):
    """A pool of multiprocessing tells its workers to end and sends them the signal, at the same moment."""
    sent = []
    for step in itertools.count():
        client = Client(strict=True)
        client.configure(catalog, received.endpoint, enabled=True)
        client.event("shop.visit")
        interrupted(client.shutdown, step, lambda: sent.append(len(received.spans())))
        if len(sent) == step:
            break  # it has fewer instructions
    assert sent == list(range(1, step + 1))
    assert step > 20


def interrupted(call, step, then):
    """Has the signal come before that instruction of `shutdown()`, and looks what was sent by it."""
    codes = {Lifecycle.shutdown.__code__, Lifecycle._stop.__code__}
    seen = 0

    def trace(frame, what, _):
        nonlocal seen
        frame.f_trace_opcodes = frame.f_code in codes
        if what == "opcode":
            if seen == step:
                sigterm.flush(2)
                then()
            seen += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
