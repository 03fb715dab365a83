"""What an application has, found in a process of its own: to import it may do anything.

    python -m footfall_collector.proposals.looking MODULE:NAME ANSWER

ANSWER is a file, as the application may print. It holds the kind of the application, its name in the module,
whether a function made it, and its texts; or an error and where it was.
"""

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("app", "application", "bot", "client", "create_app", "make_app")
"""What is looked for in a module when no name is given."""
_RUNS: Final = (
    ("discord", "Client", "run"),
    ("racetime_bot", "Bot", "run"),
    ("uvicorn", "", "run"),
    ("flask", "Flask", "run"),
)
"""What a module may call when it is imported, and what would then never end."""
_HELP: Final = "help"
"""The command that every bot of discord.py has."""


class Unknown(Exception):
    """It is no application of a kind that is known."""


def texts(found: Any) -> tuple[str, list[str]]:
    """The kind of an application, and what it has, as rules of the catalog name it.

    Raises:
        Unknown: it is of no known kind.
    """
    for kind, each in _known(found):
        return kind, list(dict.fromkeys(each))
    raise Unknown


def _known(found: Any) -> Iterator[tuple[str, Iterable[str]]]:
    """What it is, if it is that; nothing is imported that the application does not use."""
    if _is(found, "django.core.handlers.base", "BaseHandler"):
        yield "django", _of_django()
    if _is(found, "flask", "Flask"):
        from footfall.web._flask import offered as of_flask

        yield "flask", of_flask(found)
    if _is(found, "discord", "Client") or _is_class(found, "discord.ext.commands", "Cog"):
        yield "discord", _of_discord(found)
    if _is(found, "racetime_bot", "Bot"):
        yield "racetime", _of_racetime(found.get_handler_class())
    if _is_class(found, "racetime_bot", "RaceHandler"):
        yield "racetime", _of_racetime(found)
    from footfall.web._offered import layers, offered

    for layer in layers(found) if not isinstance(found, type) else ():
        if hasattr(layer, "routes"):
            kind = "fastapi" if _is(layer, "fastapi", "FastAPI") else "asgi"
            yield kind, offered(layer.routes)


def _is(found: Any, module: str, name: str) -> bool:
    cls = getattr(sys.modules.get(module), name, None)
    return cls is not None and isinstance(found, cls)


def _is_class(found: Any, module: str, name: str) -> bool:
    cls = getattr(sys.modules.get(module), name, None)
    return cls is not None and isinstance(found, type) and issubclass(found, cls)


def _of_django() -> Iterator[str]:
    from django.urls import get_resolver  # type: ignore[import-untyped]

    from footfall.web._django import offered

    patterns = [p for p in get_resolver().url_patterns if getattr(p, "app_name", "") != "admin"]
    return offered(patterns)


def _of_discord(found: Any) -> Iterator[str]:
    """The qualified names of the commands of a bot, or of a cog's class."""
    if isinstance(found, type):
        given = vars(found).get("__cog_commands__", ()), vars(found).get("__cog_app_commands__", ())
    else:
        tree = getattr(found, "tree", None) or _tree(found)
        walk = getattr(found, "walk_commands", tuple)
        given = walk(), _all(tree) if tree else ()
    for command in (*given[0], *given[1]):
        group = getattr(command, "commands", None)
        if command.qualified_name != _HELP and (not group or hasattr(command, "invoke")):
            yield command.qualified_name


def _tree(client: Any) -> Any:
    """The command tree of a client that is no bot."""
    return getattr(getattr(client, "_connection", None), "_command_tree", None)


def _all(tree: Any) -> Iterator[Any]:
    from discord import AppCommandType

    yield from tree.walk_commands()
    for kind in (AppCommandType.user, AppCommandType.message):
        yield from tree.walk_commands(type=kind)


def _of_racetime(handler: type) -> Iterator[str]:
    yield from (name.removeprefix("ex_") for name in dir(handler) if name.startswith("ex_"))


def load(target: str) -> tuple[Any, str, bool]:
    """The object that `module:name` names, its name, and whether that is a function that was called for it.

    Raises:
        Unknown: the module has no object of this name.
    """
    module_name, _, wanted = target.partition(":")
    module = importlib.import_module(module_name)
    names = [wanted.removesuffix("()")] if wanted else NAMES
    name = next((n for n in names if hasattr(module, n)), None)
    if name is None:
        raise Unknown
    found = getattr(module, name)
    is_made = inspect.isfunction(found) and not inspect.signature(found).parameters
    return (found() if is_made else found), name, is_made


def _hold() -> None:
    """Lets what a module runs at its end return at once."""
    for package, cls, name in _RUNS:
        if find_spec(package) is not None:
            with suppress(Exception):  # it is the application that has to say so, if it needs it
                owner = importlib.import_module(package)
                setattr(getattr(owner, cls) if cls else owner, name, lambda *_, **__: None)


def answer(target: str) -> dict[str, Any]:
    """What is found, or why nothing is."""
    sys.path.insert(0, os.getcwd())
    _hold()
    try:
        app, name, is_made = load(target)
        kind, found = texts(app)
    except Unknown:
        return {"error": "Unknown", "where": ""}
    except BaseException as error:  # SystemExit among them
        return {"error": _named(error), "where": _where(error)}
    return {"kind": kind, "name": name, "is_made": is_made, "texts": found}


def _named(error: BaseException) -> str:
    """An error's type; its message may hold anything, and only the name of a module is safe."""
    name = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    return f"{type(error).__name__} ({name})" if name else type(error).__name__


def _where(error: BaseException) -> str:
    """The line of the application at which it came, as seen from here."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.relpath(error.filename)}:{error.lineno}"
    here = Path.cwd()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(here)]
    ours = [frame for frame in own if "site-packages" not in Path(frame.filename).parts]
    return f"{os.path.relpath(ours[-1].filename)}:{ours[-1].lineno}" if ours else ""


if __name__ == "__main__":
    said = json.dumps(answer(sys.argv[1]))
    Path(sys.argv[2]).write_text(said, encoding="utf-8")
    os._exit(0)  # threads of the application would be waited for
