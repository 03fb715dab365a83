"""Draws what the commands print at 80 columns: the pictures of this folder, each for dark and light pages.

    .venv/bin/python docs/images/captures.py           # all of them; the demo runs, which takes a minute
    .venv/bin/python docs/images/captures.py help      # what `--help` says alone

Whatever is shown was printed by a command that ran here, in a terminal of its own. The collector that is
looked at listens at 4317 and 4318, which have to be free.
"""

import fcntl
import io
import os
import pty
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

import footfall_examples
from footfall_collector import cli

HERE = Path(__file__).parent
COLUMNS, ROWS = 80, 60
THEMES = {
    "dark": TerminalTheme(
        (13, 17, 23),
        (230, 237, 243),
        [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34),
         (88, 166, 255), (188, 140, 255), (57, 197, 207), (177, 186, 196)],
    ),
    "light": TerminalTheme(
        (255, 255, 255),
        (31, 35, 40),
        [(36, 41, 47), (207, 34, 46), (17, 99, 41), (125, 78, 0),
         (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129)],
    ),
}  # fmt: skip
PICTURE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, monospace; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As Rich draws it, without fonts from elsewhere: a page that shows it asks nobody for anything."""
SHOP = """\
from fastapi import FastAPI

app = FastAPI()


@app.post("/orders")
def order(): ...


@app.post("/orders/{order_id}/refund")
def refund(order_id: int): ...
"""
WRONG = """\
product: shop
attributes:
  plan: {type: enum, value: [free, pro]}
events:
  shop.order: {surface: web, feature: order, attributes: [plna]}
  Shop.Refund: {surface: web, feature: refund}
"""
CONFIG = """\
processors: {footfall: {catalog: events.yaml}}
exporters: {postgres: {data_directory: demo/postgres}}
receivers: {otlp: {auth: {keys_file: keys.yaml}}}
"""
OF_THE_STORE = {
    "report": "report",
    "report-usage": "report usage",
    "report-errors": "report errors",
    "report-latency": "report latency",
    "report-providers": "report errors --by provider --by error_type --since 24h --limit 8",
    "doctor": "doctor",
    "config-show": "config show",
    "keys-list": "keys list",
    "sql": "sql --command 'SELECT surface, sum(count) AS uses FROM usage GROUP BY 1'",
}


HEAD = """\
# What the commands print

Drawn by `captures.py` from what they printed, at 80 columns. \
[The page](../page.md) of the demo is taken by `page.py`.
"""
GALLERY = """\
<picture><source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">
<img alt="{name}" src="{name}-light.svg" width="720"></picture>"""


def commands() -> Iterator[list[str]]:
    """The words of each command: none for `footfall` itself, two where a command has its own."""
    yield []
    context = click.Context(cli.main)
    for name in cli.main.list_commands(context):
        yield [name]
        command = cli.main.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ([name, inner] for inner in command.list_commands(context))


@contextmanager
def terminal(words: Sequence[str], place: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command in a terminal of its own, and where that is read; it is told to end when the context does."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(place), "FOOTFALL_HOME": str(place / "home"), "TERM": "xterm-256color", "LANG": "C.UTF-8",
    }  # fmt: skip
    program = subprocess.Popen(words, cwd=place, env=variables, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield program, ours
    finally:
        program.send_signal(signal.SIGINT)
        program.wait()
        os.close(ours)


def read(source: int, until: str | None = None) -> str:
    """What a terminal shows until its program ends, or a text has come."""
    said = b""
    while until is None or until.encode() not in said:
        try:
            said += os.read(source, 65536)
        except OSError:  # nobody writes any more
            break
    return settled(said.decode())


def settled(raw: str) -> str:
    """What stands there in the end: lines that a program has gone back to are as it wrote them last."""
    lines, at = [""], 0
    for piece in re.split(r"(\r?\n|\r|\x1b\[\d*A|\x1b\[2?K|\x1b\[\?25[lh])", raw):
        if up := re.fullmatch(r"\x1b\[(\d*)A", piece):
            at = max(0, at - int(up[1] or 1))
        elif piece in ("\n", "\r\n"):
            at += 1
            lines += [""] * (at == len(lines))
        elif piece.endswith("K") and piece.startswith("\x1b"):
            lines[at] = ""
        elif piece != "\r" and not piece.startswith("\x1b[?"):
            lines[at] += piece
    return "\n".join(lines).rstrip("\n")


def printed(words: Sequence[str], place: Path) -> str:
    """What a command prints into a terminal."""
    with terminal(words, place) as (program, source):
        said = read(source)
        program.wait()
    return said


def draw(name: str, typed: str, said: str) -> None:
    """Writes both pictures of a command and what it printed."""
    console = Console(
        file=io.StringIO(),
        record=True,
        width=COLUMNS,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(Text.assemble(("$ ", "bold green"), (typed, "bold")))
    console.print(
        Text.from_ansi(said), end="\n\n"
    )  # the edge would cut what goes below the last line
    for theme, colours in THEMES.items():
        picture = console.export_svg(
            title="", theme=colours, code_format=PICTURE, clear=False, unique_id=f"{name}-{theme}"
        )
        edged = picture.replace('stroke="rgba(255,255,255,0.35)"', 'stroke="#8b949e"')
        (HERE / f"{name}-{theme}.svg").write_text(edged, "utf-8")
    print(name)


def draw_one(name: str, arguments: str, place: Path) -> None:
    """What one command prints, with paths seen from where it ran."""
    typed = f"footfall {arguments}"
    said = printed(shlex.split(typed), place).replace(f"{place}/", "")
    draw(name, typed, said.replace(f"{Path(sys.executable).parent}/", ""))


def draw_help(place: Path) -> None:
    """What `--help` says of every command."""
    for command in commands():
        draw_one("-".join(["help", *command]), " ".join([*command, "--help"]), place)


def draw_beginning(place: Path) -> None:
    """A catalog is made, and one with mistakes is looked at."""
    (place / "shop.py").write_text(SHOP)
    draw_one("init", "init --app shop:app --product shop --yes", place)
    (place / "events.yaml").write_text(WRONG)
    draw_one("validate", "validate events.yaml", place)


def draw_demo(place: Path) -> None:
    """The end of what the demo prints: whether it is exact, and whether anything personal is in it."""
    said = printed(["footfall", "demo", "--once", "--data", "demo"], place)
    lines = said.splitlines()
    begin, end = (
        next(n for n, line in enumerate(lines) if words in line)
        for words in ("Is it exact?", "Where to look next")
    )
    draw("demo", "footfall demo", "\n".join(["...", "", *lines[begin : end - 1]]))


def draw_store(place: Path) -> None:
    """A collector, and what is said of the store that the demo has filled."""
    shutil.copy(Path(footfall_examples.__file__).parent / "sahasrahbot/events.yaml", place)
    (place / "collector.yaml").write_text(CONFIG)
    # A key is shown to nobody, not even one that opens nothing.
    printed(shlex.split("footfall keys new web --service shop --config collector.yaml"), place)
    draw_one("statement", "statement --catalog events.yaml", place)
    typed = "footfall up --live --config collector.yaml"
    with terminal(typed.split(), place) as (_, source):
        draw("up", typed, read(source, "undeclared_event"))
        for name, arguments in OF_THE_STORE.items():
            draw_one(name, f"{arguments} --config collector.yaml", place)
        alerts = "alerts list --config collector.yaml"
        while "no collector has looked yet" in printed(f"footfall {alerts}".split(), place):
            time.sleep(1)
        draw_one("alerts-list", alerts, place)


def write_gallery() -> None:
    """The page that shows them all."""
    names = sorted({file.stem.rpartition("-")[0] for file in HERE.glob("*.svg")})
    names.sort(key=lambda name: (name.startswith("help"), name))
    pictures = "\n\n".join(GALLERY.format(name=name) for name in names)
    (HERE / "README.md").write_text(f"{HEAD}\n{pictures}\n", "utf-8")


def main(only: Sequence[str]) -> None:
    """Draws all, or what `--help` says alone."""
    place = Path(tempfile.mkdtemp(prefix="shop-"))
    place.chmod(0o755)  # the user of an embedded Postgres enters it as well
    try:
        draw_help(place)
        if only != ["help"]:
            draw_beginning(place)
            draw_demo(place)
            draw_store(place)
        write_gallery()
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main(sys.argv[1:])
