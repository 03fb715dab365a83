"""What an application has that an event could stand for: routes, or commands."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from footfall_processors import OperatorError
from footfall_processors.catalog import Rule
from footfall_processors.document import peek
from footfall_processors.matching import ROUTE_FORM

SECONDS: Final = 60
"""How long it may take to import an application."""
_MADE: Final = re.compile(
    r"^(\w+)(?:: *[\w.]+)? *= *(?:\w+\.)*"
    r"(?:FastAPI|Starlette|Flask|get_[aw]sgi_application|Bot|AutoShardedBot)\(",
    re.MULTILINE,
)
"""A line that makes an application."""
OFF: Final = {"TELEMETRY_ENABLED": "false", "OTEL_SDK_DISABLED": "true", "DO_NOT_TRACK": "1"}
"""Nothing is sent by an application that is only looked at."""
_METHODS: Final = frozenset(("CONNECT", "HEAD", "OPTIONS", "TRACE"))
"""No use of a feature."""
_UNUSED: Final = re.compile(
    r"/(static|media|assets|__debug__|admin)(/.*)?|/(docs|redoc|openapi\.json|docs/oauth2-redirect)"
    r"|/(health|healthz|ready|readyz|live|livez|ping|metrics|favicon\.ico|robots\.txt)/?"
)
"""What no user asks for by themselves."""
_PROGRAM: Final = "footfall_collector.proposals.looking"


class NotFound(OperatorError):
    """The application cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Application:
    """What was found.

    Attributes:
        kind: fastapi, asgi, django, flask, discord or racetime.
        rule: The kind of rule that stands for what it has.
        texts: What a rule of this kind may say, in the application's order.
        module: Where it is.
        name: What it is called there.
        is_made: Whether that is a function that makes it.
    """

    kind: str
    rule: str
    texts: tuple[str, ...] = ()
    module: str = "app"
    name: str = "app"
    is_made: bool = False


def look(target: str) -> Application:
    """Imports an application in a process of its own, with telemetry off, and lists what it has.

    Args:
        target: `module:name`, as seen from the working directory; without a name the usual ones are tried.

    Raises:
        NotFound: it cannot be imported, or is of no known kind.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answer.json")
        command = [sys.executable, "-m", _PROGRAM, target, str(file)]
        try:
            done = subprocess.run(
                command,
                env=os.environ | OFF,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotFound(
                f"{target} is not imported after {SECONDS} s; what it starts belongs below"
                " `if __name__ == '__main__':`"
            ) from None
        if not file.exists():
            raise NotFound(f"{target}: the process that imported it ended with {done.returncode}")
        said = json.loads(file.read_text(encoding="utf-8"))
    if "error" in said:
        raise NotFound(_told(target, said["error"], said["where"]))
    kind, rule = said["kind"], rule_of(said["kind"])
    texts, module = tuple(usable(rule, said["texts"])), target.partition(":")[0]
    return Application(kind, rule, texts, module, said["name"], said["is_made"])


def rule_of(kind: str) -> str:
    """The kind of rule that stands for what an application of a kind has."""
    return kind if kind in ("discord", "racetime") else "route"


def guess() -> str | None:
    """The application in the working directory that looks like one, as module:name; nothing is imported."""
    for file in sorted([*Path().glob("*.py"), *Path().glob("*/*.py")], key=lambda f: len(f.parts)):
        found = _MADE.search(file.read_text(encoding="utf-8", errors="replace"))
        module = ".".join(file.with_suffix("").parts)
        if found and all(part.isidentifier() for part in module.split(".")):
            return f"{module}:{found[1]}"
    return None


def _told(target: str, error: str, where: str) -> str:
    if error == "Unknown":
        return (
            f"{target} is no application that is known: name one of FastAPI, Starlette, Flask or Django,"
            " a bot or cog of discord.py, or a bot or handler of racetime-bot, as module:name"
        )
    place = f" at {where}" if where else ""
    advice = "; run this where the application is started, with what it needs installed"
    is_missing = error.startswith("ModuleNotFoundError")
    return f"{target} cannot be imported: {error}{place}{advice if is_missing else ''}"


def usable(rule: str, found: Iterable[str]) -> list[str]:
    """What can be a rule, and what a user asks for; each once."""
    return [text for text in dict.fromkeys(found) if _is_usable(rule, text)]


def _is_usable(rule: str, text: str) -> bool:
    if not text.isprintable() or peek(Rule, {rule: text}) is None or not text.strip():
        return False
    if rule != "route":
        return True
    method, _, path = text.partition(" ")
    return bool(
        ROUTE_FORM.fullmatch(text) and method not in _METHODS and not _UNUSED.fullmatch(path)
    )
