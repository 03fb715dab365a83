"""The newcomers: from nothing to the first figure, word by word after the documents."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from footfall_exporters.embedded import EmbeddedPostgres
from newcomers.machine import ROOT, Environment, Failed

sys.path.append(str(ROOT / "tests"))
from support.terminal import Terminal  # the tests type documents in the same way
from support.walkthrough import Command, File, Step, blocks, steps

DOCS: Final = ROOT / "docs"
FASTAPI: Final = DOCS / "guides/fastapi.md"
DISCORD: Final = DOCS / "guides/discord.md"
OPERATIONS: Final = DOCS / "operations.md"
STAND_IN: Final = Path(__file__).with_name("discord_stand_in.py")


@dataclass
class Watch:
    """The seconds that a newcomer's machine takes; what stands for the rest of the world is not theirs."""

    begun: float = field(default_factory=time.monotonic)
    apart: float = 0.0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done meanwhile is not counted."""
        begun = time.monotonic()
        yield
        self.apart += time.monotonic() - begun

    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self.begun - self.apart


Journey = Callable[[Path, Environment], float]


def fastapi(folder: Path, environment: Environment) -> float:
    """The owner of a FastAPI site follows the guide."""
    watch = Watch()
    _arrive(folder, environment, _until_figure(FASTAPI), "api.seed")
    return watch.seconds()


def bot(folder: Path, environment: Environment) -> float:
    """The owner of a Discord bot follows the guide; simcord stands for Discord."""
    watch = Watch()
    catalog, program = (
        next(text for language, text in blocks(DISCORD) if language == kind)
        for kind in ("yaml", "python")
    )
    files = [File("events.yaml", catalog), File("bot.py", program)]
    collector = [
        s for s in steps(FASTAPI) if isinstance(s, Command) and "uvicorn app" not in s.line
    ]
    pip = [step for step in steps(DISCORD) if _calls(step, "pip")]
    pip += [step for step in collector if _calls(step, "pip") and "collector" in step.line]
    rest = [step for step in collector if not _calls(step, "pip") and "curl" not in step.line]
    up, report = rest[0], rest[-1]
    with watch.stopped():
        environment.make()
        environment.type("pip install discord.py")  # simcord's alone, and not the guide's
        environment.type("pip install simcord")
    use = Command(f"TELEMETRY_ENABLED=true python {STAND_IN} bot.py")
    _arrive(folder, environment, [*pip, *files, up, use, report], "discord.generator")
    return watch.seconds()


def operator(folder: Path, environment: Environment) -> float:
    """An operator with a Postgres of their own, TLS and keys follows operations.md."""
    with operators_postgres(folder) as superuser:
        watch = Watch()
        server = conninfo_to_dict(superuser)
        at = f"{quote(str(server['host']), safe='')}:{server['port']}"
        meant = {"db.example.org": at}
        _arrive(folder, environment, _until_figure(OPERATIONS), "shop.order", superuser, meant)
        return watch.seconds()


JOURNEYS: Final[dict[str, tuple[str, Journey, float]]] = {
    "fastapi": ("the owner of a FastAPI site", fastapi, 90.0),
    "bot": ("the owner of a Discord bot", bot, 60.0),
    "operator": ("an operator: Postgres, TLS, keys", operator, 120.0),
}
"""Who it is, what they do, and the seconds that their machine may take for it."""


def _until_figure(document: Path) -> list[Step]:
    """What a document says up to the report; what comes behind it is for later."""
    todo = steps(document)
    end = next(number for number, step in enumerate(todo) if _calls(step, "footfall report"))
    return todo[: end + 1]


def _calls(step: Step, program: str) -> bool:
    return isinstance(step, Command) and step.program == program


def _arrive(
    folder: Path,
    environment: Environment,
    todo: Sequence[Step],
    event: str,
    superuser: str | None = None,
    meant: dict[str, str] | None = None,
) -> None:
    """Installs, types all else, and looks until the report has the event.

    Raises:
        Failed: something did not work.
    """
    if not environment.bin.exists():
        environment.make()
    for step in todo:
        if isinstance(step, Command) and step.program == "pip":
            environment.type(step.line)
    terminal = Terminal(folder, [curl(folder)], superuser, meant)
    terminal.environment["PATH"] = f"{environment.bin}:{terminal.environment['PATH']}"
    rest = [step for step in todo if not _calls(step, "pip")]
    try:
        terminal.follow(rest, ("footfall report", event))
    except AssertionError as error:
        raise Failed(str(error)[-3000:]) from None


def curl(folder: Path) -> Path:
    """A folder with a `curl` that reads pages, as a browser would."""
    programs = folder / "programs"
    programs.mkdir()
    page = "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[-1]).read().decode())"
    (programs / "curl").write_text(f"#!{sys.executable}\n{page}\n")
    (programs / "curl").chmod(0o755)
    return programs


@contextmanager
def operators_postgres(folder: Path) -> Iterator[str]:
    """The connection string of a Postgres that has nothing of ours, as its superuser."""
    with EmbeddedPostgres(folder / "operators") as ours:
        with psycopg.connect(ours, autocommit=True) as session:
            session.execute("CREATE ROLE operator SUPERUSER LOGIN PASSWORD 'operator'")
        theirs = make_conninfo(ours, user="operator", dbname="postgres", password="operator")  # noqa: S106
        with psycopg.connect(theirs, autocommit=True) as session:
            session.execute("ALTER ROLE footfall RENAME TO installed")
            session.execute("DROP DATABASE footfall")
        yield theirs
