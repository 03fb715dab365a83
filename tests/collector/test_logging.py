import asyncio
import contextlib
import contextvars
import errno
import gc
import json
import logging
import os
import re
import resource
import socket
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime

import grpc
import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_collector.errors import StartError
from footfall_collector.telemetry import logging as diagnostics
from footfall_collector.telemetry import trace_context
from footfall_collector.telemetry.trace_context import TraceContext
from footfall_exporters.contracts import Unavailable

SECRET = "planted-7f3a9c"
ours = logging.getLogger("footfall.test")
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
VALID = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def log(logged):
    return logged()


both = pytest.mark.parametrize("encoding", ["json", "console"])


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


# Our own lines


def test_a_line_is_an_object_with_time_level_logger_and_message(log):
    before = time.time()
    ours.warning("%d partitions made", 3)
    (line,) = log.lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    written = datetime.fromisoformat(line.pop("time"))
    assert before - 0.001 <= written.timestamp() <= time.time()
    assert written.tzinfo == UTC
    assert line == {"level": "warning", "logger": "footfall.test", "message": "3 partitions made"}


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["d", "i", "w", "e"]),
        ("info", ["i", "w", "e"]),
        ("warning", ["w", "e"]),
        ("error", ["e"]),
    ],
)
def test_the_configured_level_is_that_of_our_own_lines(logged, level, written):
    log = logged(level=level)
    ours.debug("d")
    ours.info("i")
    ours.warning("w")
    ours.error("e")
    logging.getLogger("library").info("theirs")
    assert [line["message"] for line in log.lines] == written


def test_the_console_has_a_line_of_text_without_colours_where_no_terminal_is(logged):
    log = logged("console")
    ours.error("the spool is full")
    assert re.fullmatch(r"[-:.\dT]+Z ERROR    footfall\.test: the spool is full\n", log.text)


def test_a_terminal_gets_colours():
    code = (
        "from footfall_collector.telemetry import logging as diagnostics; import logging;"
        "from footfall_collector.config.schema import LogsConfig;"
        "diagnostics.configure(LogsConfig()); logging.getLogger('footfall').error('full')"
    )
    ours_end, theirs = os.openpty()
    try:
        subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
        assert b"\x1b[31mERROR   \x1b[0m footfall: full" in os.read(ours_end, 4096)
    finally:
        os.close(ours_end)
        os.close(theirs)


@both
def test_a_message_can_neither_forge_a_line_nor_control_a_terminal(logged, encoding):
    log = logged(encoding)
    ours.error("broken\n2026-01-01T00:00:00.000Z INFO all is well \x1b[2J\udcff")
    assert len(log.text.splitlines()) == 1
    assert "\x1b" not in log.text
    log.text.encode()


def test_a_mistake_in_a_log_call_neither_hides_it_nor_shows_its_arguments(log, capfd):
    ours.error("%d batches", SECRET)
    assert [line["message"] for line in log.lines] == ["%d batches"]
    assert SECRET not in "".join(capfd.readouterr())


# Trace ids


def in_request(traceparent, action):
    context = contextvars.copy_context()
    context.run(trace_context.current.set, TraceContext(traceparent))
    return context.run(action)


def test_lines_of_a_request_carry_its_trace_id(log):
    in_request(VALID, lambda: (ours.warning("a"), ours.warning("b")))
    ours.warning("outside")
    first, second, outside = log.lines
    assert first["trace_id"] == second["trace_id"] == TRACE_ID
    assert first["span_id"] == second["span_id"]
    assert re.fullmatch("[0-9a-f]{16}", first["span_id"])
    assert first["span_id"] != "b7ad6b7169203331"
    assert "trace_id" not in outside


def test_the_console_shows_the_trace_id(logged):
    log = logged("console")
    in_request(VALID, lambda: ours.warning("a"))
    assert f"trace_id={TRACE_ID}" in log.text


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        SECRET,
        VALID.upper(),
        f"ff-{TRACE_ID}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-b7ad6b7169203331-01-more",
        f"00-{TRACE_ID[:-1]}-b7ad6b7169203331-01",
        f"{VALID}\n",
        f" {VALID}",
        f"00-{'٣' * 32}-b7ad6b7169203331-01",
        f"01-{TRACE_ID}-b7ad6b7169203331-01-{'x' * 600}",
    ],
)
def test_a_request_without_a_valid_header_gets_an_id_of_its_own(traceparent):
    found, other = TraceContext(traceparent), TraceContext(traceparent)
    assert re.fullmatch("[0-9a-f]{32}", found.trace_id)
    assert found.trace_id != TRACE_ID
    assert found.trace_id != other.trace_id


@pytest.mark.parametrize("version", ["01", "cc"])
def test_later_versions_of_the_header_are_understood(version):
    for more in ("", "-what-they-add"):
        sent = f"{version}-{TRACE_ID}-b7ad6b7169203331-00{more}"
        assert TraceContext(sent).trace_id == TRACE_ID


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-fA-F-]{0,60}", fullmatch=True))
def test_nothing_but_a_trace_id_gets_through(traceparent):
    trace_id = TraceContext(traceparent).trace_id
    assert re.fullmatch("[0-9a-f]{32}", trace_id, re.ASCII)
    assert set(trace_id) != {"0"}


async def test_requests_that_are_handled_at_once_keep_their_ids_apart(log):
    async def handle(number):
        trace_context.current.set(TraceContext(f"00-{number:032x}-b7ad6b7169203331-01"))
        await asyncio.sleep(0)
        ours.warning("%d", number)

    await asyncio.gather(*(handle(number) for number in range(1, 50)))
    assert {int(line["trace_id"], 16): int(line["message"]) for line in log.lines} == {
        number: number for number in range(1, 50)
    }


# Errors


@both
def test_an_error_is_its_type_and_places_and_nothing_it_says(logged, encoding):
    log = logged(encoding)
    local = SECRET  # noqa: F841  # frames hold it

    def deep():
        raise ValueError(SECRET)

    try:
        try:
            deep()
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError:
        ours.exception("failed")
    assert SECRET not in log.text
    assert "builtins.KeyError" in log.text
    assert "builtins.ValueError" in log.text
    assert "test_logging.py" in log.text
    assert " deep" in log.text


def test_the_errors_that_led_to_it_and_those_in_a_group_are_named(log):
    group = raised(ExceptionGroup(SECRET, [ValueError(SECRET), OSError(28, SECRET, SECRET)]))
    ours.error("failed", exc_info=group)
    assert SECRET not in log.text
    found = {each["type"]: each.get("code") for each in log.lines[0]["exceptions"]}
    assert found == {
        "builtins.ExceptionGroup": None,
        "builtins.ValueError": None,
        "builtins.OSError": "ENOSPC",
    }


@both
def test_what_our_own_errors_say_is_written(logged, encoding):
    log = logged(encoding)
    ours.error("failed", exc_info=raised(StartError("port 4317 is in use")))
    ours.error("failed", exc_info=raised(Unavailable("the store is not available")))
    assert "port 4317 is in use" in log.text
    assert "the store is not available" in log.text


def test_an_error_is_bounded(log):
    error = None
    for number in range(200):
        try:
            raise ValueError(number) from error
        except ValueError as caught:
            error = caught

    def recurse():
        recurse()

    ours.error("failed", exc_info=error)
    try:
        recurse()
    except RecursionError:
        ours.exception("too deep")
    assert [len(line["exceptions"]) for line in log.lines] == [diagnostics.MOST, 1]
    assert len(log.text) < 20_000


def test_errors_that_lead_to_each_other_end(log):
    first, second = raised(ValueError("a")), raised(ValueError("b"))
    first.__cause__, second.__cause__ = second, first
    ours.error("failed", exc_info=first)
    assert len(log.lines[0]["exceptions"]) == 2


async def test_what_postgres_quotes_is_not_written(log, empty_database):
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE t (a text PRIMARY KEY)")
        await connection.execute("INSERT INTO t VALUES (%s)", [SECRET])
        with pytest.raises(psycopg.Error, match=SECRET) as refused:
            await connection.execute("INSERT INTO t VALUES (%s)", [SECRET])
    ours.error("refused", exc_info=refused.value)
    logging.getLogger("psycopg").error(str(refused.value))
    assert SECRET not in log.text
    found = log.lines[0]["exceptions"][0]
    assert (found["type"], found["code"]) == ("psycopg.errors.UniqueViolation", "23505")


# Libraries


def library(level=logging.WARNING):
    return logging.getLogger("library.part")


def test_a_librarys_literal_message_is_written_without_its_arguments(log):
    library().warning("Invalid HTTP request received.")
    library().warning("the value is %s", SECRET)
    assert SECRET not in log.text
    assert [line["message"] for line in log.lines] == [
        "Invalid HTTP request received.",
        "the value is %s",
    ]
    assert all("test_logging.py" in line["where"] for line in log.lines)


@both
def test_what_a_library_has_put_together_is_withheld(logged, encoding):
    log = logged(encoding)
    library().error(f"the value is {SECRET}")
    library().error("the value is " + SECRET)
    library().error(ValueError(SECRET))
    library().error({"a": SECRET})
    library().error("failed", exc_info=raised(ValueError(SECRET)), stack_info=True)
    assert SECRET not in log.text
    assert log.text.count("withheld)") >= 4
    assert log.text.count("test_logging.py") >= 5


def test_loggers_that_only_begin_like_ours_are_libraries(log):
    for name in ("footfallen", "footfall_of_others"):
        logging.getLogger(name).error("the value is %s", SECRET)
    assert SECRET not in log.text


def test_nobody_can_fill_the_disk_by_making_a_library_complain(log, monkeypatch):
    monkeypatch.setattr(diagnostics, "TICK", 1e9)  # all of this is one

    def complain():
        library().warning("Invalid HTTP request received.")

    for _ in range(100):
        complain()
    library().warning("something else")
    monkeypatch.setattr(diagnostics, "TICK", 1e8)  # and now is another
    complain()
    complain()
    text = "Invalid HTTP request received."
    written = diagnostics.LINES_OF_LIBRARIES
    assert [line["message"] for line in log.lines] == [
        *[text] * written,
        "something else",
        f"{text} ({100 - written} more were not written)",
        text,
    ]


def test_our_own_lines_are_written_by_the_hundred(log):
    for number in range(150):  # a configuration's mistakes
        ours.error("mistake %d", number)
    assert len(log.lines) == 150


def test_libraries_below_warnings_are_not_written(log):
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get(f"http://backend.example/?api_key={SECRET}")
    assert log.text == ""


async def test_a_task_that_fails_alone_says_nothing_that_it_had(log):
    loop = asyncio.get_running_loop()

    async def fail(value):
        raise ValueError(value)

    for handler in (None, diagnostics.on_loop_error):
        loop.set_exception_handler(handler)
        task = asyncio.create_task(fail(SECRET), name=SECRET)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()
        loop.call_soon(lambda secret: 1 / 0, SECRET)
        await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    assert SECRET not in log.text
    assert len(log.lines) == 4
    assert log.text.count("builtins.ValueError") == 2
    assert log.text.count("builtins.ZeroDivisionError") == 2


async def test_what_the_system_lacks_is_said_once_a_minute_and_says_what_to_do(log, monkeypatch):
    assert diagnostics.SELDOM["tick"] == 60
    monkeypatch.setitem(diagnostics.SELDOM, "tick", 1e9)  # no minute ends meanwhile
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(diagnostics.on_loop_error)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(20)]
        files = len(os.listdir("/proc/self/fd"))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        for client in clients:
            client.connect(address)
            await asyncio.sleep(0.01)
        for _ in range(200):
            loop.call_exception_handler({"exception": OSError(errno.EMFILE, SECRET)})
    await asyncio.sleep(1.2)  # asyncio tries again after a second, and takes those that wait
    server.close()
    await server.wait_closed()
    loop.set_exception_handler(None)
    assert len(log.lines) == 1
    assert "EMFILE" in log.text
    assert "ulimit -n" in log.text
    assert SECRET not in log.text


async def test_a_grpc_handler_that_fails_says_nothing_that_it_was_sent(log):
    async def fail(request, context):
        raise ValueError(request)

    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(fail)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", {"m": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/s/m")(SECRET.encode(), metadata=(("x-a", SECRET),))
    await server.stop(None)
    assert SECRET not in log.text
    assert "builtins.ValueError" in log.text


def test_a_warning_names_its_category_and_place(log):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"unclosed {SECRET}", ResourceWarning, stacklevel=1)
    assert SECRET not in log.text
    assert "ResourceWarning at " in log.lines[0]["message"]
    assert "test_logging.py" in log.lines[0]["message"]


# What is left behind when it fails

PRELUDE = f"""
import ctypes, logging, os, resource, sys, threading
from footfall_collector.telemetry import logging as diagnostics
from footfall_collector.config.schema import LogsConfig
diagnostics.configure(LogsConfig(encoding="json"))
diagnostics.catch_all()
diagnostics.no_core_dumps()
secret = {SECRET[:7]!r} + {SECRET[7:]!r}
"""


def run(code, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, timeout=30, cwd=cwd
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise ValueError(secret)", 1),
        ("t = threading.Thread(target=int, args=(secret,), name=secret); t.start(); t.join()", 0),
        (
            "class Fails:\n  def __repr__(self): return secret\n"
            "  def __del__(self): raise ValueError(secret)\nFails(); print()",
            0,
        ),
    ],
    ids=["main", "thread", "finaliser"],
)
def test_an_error_that_nobody_caught_says_nothing_that_it_had(code, status):
    found = run(code)
    assert found.returncode == status
    assert SECRET not in found.stdout + found.stderr
    (line,) = [json.loads(line) for line in found.stderr.splitlines()]
    assert line["level"] == "error"
    assert line["exceptions"][0]["type"] == "builtins.ValueError"


def test_an_interruption_is_no_error():
    found = run("raise KeyboardInterrupt")
    assert found.stderr == ""
    assert found.returncode != 0


def test_a_crash_prints_places_and_leaves_no_memory_behind(tmp_path):
    found = run("import ctypes; ctypes.string_at(0)", tmp_path)
    assert found.returncode < 0
    assert "Fatal Python error: Segmentation fault" in found.stderr
    assert SECRET not in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_neither_core_dumps_nor_debuggers_get_the_memory():
    found = run(
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
        "print(int(open('/proc/self/statm').read().split()[1]) > 0)"
    )
    assert found.stdout == "(0, 0) 0\nTrue\n"


def test_grpcs_core_writes_no_addresses():
    code = """
import grpc, asyncio, socket
taken = socket.create_server(("127.0.0.1", 0))
async def main():
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    try:
        server.add_insecure_port("127.0.0.1:%d" % taken.getsockname()[1])
    except RuntimeError:
        print("refused")
asyncio.run(main())
"""
    found = run(code)
    assert found.stdout == "refused\n"
    assert found.stderr == ""
