"""`os.exec*()`, by which a program starts another in its place, often itself: what waits is sent before."""

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from instrumentation import programs

PROGRAM = """
import os, sys
import footfall
footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
footfall.event("shop.order")
footfall.count("shop.visit", 2)
{last}
"""
FOLDER = str(Path(sys.executable).parent)
NEXT = "'python', '-c', 'print(5)'"


@pytest.fixture
def replaced(catalog, received):
    """Runs a program that replaces itself, or ends otherwise; its status and what is printed."""

    def run(last, **variables):
        names = {"catalog": str(catalog), "endpoint": received.endpoint}
        code = PROGRAM.format(last=textwrap.dedent(last), **names)
        done = programs.run("-c", code, **variables)
        assert not done.stderr
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize(
    "call",
    [
        f"os.execv(sys.executable, [{NEXT}])",
        f"os.execve(path=sys.executable, argv=[{NEXT}], env=os.environ)",
        f"os.execve(os.open(sys.executable, os.O_RDONLY), [{NEXT}], os.environ)",
        f"os.execl(sys.executable, {NEXT})",
        f"os.execle(sys.executable, {NEXT}, os.environ)",
        f"os.execlp('python', {NEXT})",
        f"os.execvpe('python', [{NEXT}], os.environ)",
        f"import threading; threading.Thread(target=os.execl, args=[sys.executable, {NEXT}]).start()",
    ],
)
def test_what_waits_is_sent_before_another_program_takes_its_place(replaced, received, call):
    path = os.pathsep.join((FOLDER, os.environ["PATH"]))
    assert replaced(call, PATH=path) == (0, "5\n")
    assert len(received.spans()) == 1
    assert received.emitted() == {"shop.order": 1, "shop.visit": 2}


@pytest.mark.parametrize("there", [True, False])
def test_a_program_that_cannot_be_replaced_goes_on_and_so_does_its_telemetry(
    replaced, received, tmp_path, there
):
    if there:
        (tmp_path / "program").write_text("")
    last = f"""
        try:
            os.execv({str(tmp_path / "program")!r}, ["program"])
        except OSError as error:
            print(type(error).__name__)
        footfall.event("shop.order")
    """
    assert replaced(last) == (0, "PermissionError\n" if there else "FileNotFoundError\n")
    assert len(received.spans()) == 2
    assert received.emitted() == {"shop.order": 2, "shop.visit": 2}


def test_what_is_called_wrongly_fails_as_before(replaced, received):
    last = """
        for call in (os.execv, os.execve):
            for arguments in ((), (None, ["x"], {}), (sys.executable, [])):
                try:
                    call(*arguments)
                except (TypeError, ValueError) as error:
                    print(type(error).__name__)
    """
    status, printed = replaced(last)
    assert (status, printed.split()) == (
        0,
        ["TypeError", "TypeError", "ValueError"] + ["TypeError"] * 3,
    )
    assert len(received.spans()) == 1


def test_a_collector_that_hangs_keeps_a_program_for_a_while_and_a_search_along_the_path_not(
    replaced, received
):
    received.held = True
    path = os.pathsep.join((*["/nowhere"] * 20, FOLDER))
    begun = time.monotonic()
    assert replaced(f"os.execvp('python', [{NEXT}])", PATH=path) == (0, "5\n")
    assert time.monotonic() - begun < 20


def test_nothing_is_replaced_where_it_is_not_wanted_and_all_is_put_back(replaced):
    last = """
        def hooked():
            return [hasattr(each, "__wrapped__") for each in (os._exit, os.execv, os.execve)]
        print(*hooked())
        footfall.shutdown()
        print(*hooked())
    """
    none = "False False False\n"
    assert replaced(last) == (0, f"True True True\n{none}")
    assert replaced(last, FOOTFALL_EXIT_HOOKS="false") == (0, none * 2)
