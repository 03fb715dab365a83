"""A terminal of its own for a program, and what a person would see in it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

_BEGIN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes it the controlling terminal, so that Ctrl-C is a signal; gRPC acts between fork and exec."""
_CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Pseudoterminal:
    """Runs a program in a pseudo-terminal of so many rows and columns.

    Attributes:
        raw: All that it has written, as text.
        chunks: When each part of it came, by the monotonic clock, and the part.
    """

    def __init__(self, command, rows=24, columns=80, **environment):
        self.raw, self.chunks = "", []
        self._columns = columns
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        unwanted = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=kept | {"TERM": "xterm-256color"} | environment,
            start_new_session=True,
        )
        os.close(slave)

    def press(self, key):
        """Types something; \\x03 is Ctrl-C."""
        os.write(self._master, key)

    def read(self, seconds=0.1):
        """Takes what comes within so many seconds; False when the program's end is closed."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            part = os.read(self._master, 65536).decode(errors="replace")
        except OSError:
            return False
        self.raw += part
        self.chunks.append((time.monotonic(), part))
        return bool(part)

    def sees(self, text, seconds=60):
        """Waits until somebody would see a text."""
        end = time.monotonic() + seconds
        while text not in "\n".join(self.screen()):
            assert time.monotonic() < end, "\n".join(self.screen())
            assert self.read() or text in "\n".join(self.screen()), "\n".join(self.screen())

    def end(self, seconds=60):
        """Reads to the end; the exit status."""
        end = time.monotonic() + seconds
        while self.read() and time.monotonic() < end:
            pass
        return self.process.wait(10)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)

    def screen(self):
        """The lines, those that have scrolled away too; colours are left out."""
        return lines(self.raw, self._columns)


def lines(text, columns):
    """What a terminal of endless height shows: of the controls those that move and erase."""
    rows, row, column, at = [""], 0, 0, 0
    while at < len(text):
        if found := _CONTROL.match(text, at):
            at, number = found.end(), found[1] or "1"
            if found[2] == "A":
                row = max(row - int(number), 0)
            elif found[2] == "K":
                rows[row] = "" if number == "2" else rows[row][:column]
            else:
                assert found[2] in "mhl", found[0]
            continue
        character, at = text[at], at + 1
        if character == "\r":
            column = 0
        elif character == "\n" or column == columns:
            row, column = row + 1, 0 if character != "\n" else column
            rows += [""] * (row + 1 - len(rows))
        if character not in "\r\n":
            rows[row] = rows[row][:column].ljust(column) + character + rows[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in rows]
