"""SIGHUP, as of a terminal that is closed: what waits is sent, if nobody handles or ignores it."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from instrumentation import programs

PROGRAM = """
import faulthandler, fcntl, os, signal, sys, termios, time
import footfall
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs this may ignore it
{before}
footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
footfall.event("shop.order")
{after}
"""
HANG_UP = "os.kill(os.getpid(), signal.SIGHUP)"


@pytest.fixture
def program(catalog, received):
    """The program."""

    def make(before="", after=HANG_UP):
        before, after = textwrap.dedent(before), textwrap.dedent(after)
        names = {"catalog": str(catalog), "endpoint": received.endpoint}
        return PROGRAM.format(before=before, after=after, **names)

    return make


@pytest.fixture
def ended(program):
    """Runs it; its status and what it printed."""

    def run(*parts):
        done = programs.run("-c", program(*parts))
        assert not done.stderr
        return done.returncode, done.stdout

    return run


def test_a_program_dies_by_the_signal_when_what_waits_is_sent(ended, received):
    assert ended() == (-signal.SIGHUP, "")
    assert len(received.spans()) == 1
    assert received.emitted() == {"shop.order": 1}


def test_a_program_whose_terminal_is_closed_sends_what_waits(program, received):
    before = "fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    code = program(before, "print('up', flush=True); time.sleep(60)")
    ours, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(terminal)
        assert os.read(ours, 100).strip() == b"up"
        os.close(ours)
        assert process.wait(30) == -signal.SIGHUP
    assert len(received.spans()) == 1


@pytest.mark.parametrize(
    ("handler", "printed"),
    [("signal.SIG_IGN", ""), ("lambda *_: print('read again')", "read again\n")],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_host_that_ignores_it_as_under_nohup_or_handles_it_is_left_alone(
    ended, received, handler, printed, when
):
    mine = f"mine = {handler}\nsignal.signal(signal.SIGHUP, mine)\n"
    before, after = (mine, "") if when == "before" else ("", mine)
    after += f"{HANG_UP}\nprint(signal.getsignal(signal.SIGHUP) is mine)"
    assert ended(before, after) == (0, f"{printed}True\n")
    assert len(received.spans()) == 1


def test_a_handler_that_is_not_pythons_is_left_alone(ended):
    before = "faulthandler.register(signal.SIGHUP, open(os.devnull, 'w'), chain=True)"
    found = "print(signal.getsignal(signal.SIGHUP) is signal.SIG_DFL)"
    assert ended(before, found) == (0, "True\n")


def test_shutdown_puts_back_what_was_there(ended):
    look = "print(signal.getsignal(signal.SIGHUP) is signal.SIG_DFL)"
    assert ended("", f"{look}\nfootfall.shutdown()\n{look}") == (0, "False\nTrue\n")
