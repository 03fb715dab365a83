"""The command `footfall init`: a catalog for an application, or what is new in it."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import click

from footfall_collector.doctor.checks import count
from footfall_collector.errors import refuse
from footfall_collector.proposals.applications import Application, guess, look, rule_of
from footfall_collector.proposals.naming import example, named, word
from footfall_collector.proposals.writing import NotAdded, add, block, checked, new_catalog
from footfall_processors import Catalog, DocumentError, OperatorError, load_catalog
from footfall_processors.catalog import Slug
from footfall_processors.document import peek
from footfall_processors.matching import Matcher, fits, rules


class _Kind(NamedTuple):
    """A kind of application.

    Attributes:
        surface: Of its events.
        line: Has it measured; the words in braces are those of `_words`.
        run: Starts it.
    """

    surface: str
    line: str
    run: str


_KINDS: Final = {
    "fastapi": _Kind("web", "footfall.instrument_fastapi({app})", "uvicorn {target}"),
    "asgi": _Kind("web", "{app} = footfall.instrument_asgi({app})", "uvicorn {target}"),
    "flask": _Kind("web", "footfall.instrument_flask({app})", "flask --app {module} run"),
    "django": _Kind("web", "footfall.instrument_django()", "python manage.py runserver"),
    "discord": _Kind("discord", "footfall.instrument_discord({bot})", "python {path}"),
    "racetime": _Kind("racetime", "footfall.instrument_racetime({handler})", "python {path}"),
    "other": _Kind("app", 'footfall.event("{event}")', "python {path}"),
}
_RULE: Final = "1 to 63 of a-z, 0-9, _ and -, beginning with a letter"
_APP: Final = "Application to look at, as module:name (none for none)"


@click.command()
@click.option("--app", metavar="MODULE:NAME", help="Look at this application or bot.")
@click.option("--product", help="Its name; the folder's by default.")
@click.option(
    "--kind", type=click.Choice(list(_KINDS)), help="Without --app: what it is made with."
)
@click.option(
    "--catalog", "file", default="events.yaml", metavar="FILE", help="Written, or added to."
)
@click.option("--yes", is_flag=True, help="Ask nothing, and take what would be proposed.")
def init(app: str | None, product: str | None, kind: str | None, file: str, yes: bool) -> None:
    """Write a catalog for an application, or add what is new in it.

    The application is imported, with telemetry off, and each of its routes or commands gets an event
    that stands for it. An events.yaml that is there keeps all that it has.
    """
    try:
        before = load_catalog(file) if Path(file).exists() else None
        name = product or (before.products[0] if before else _product(yes))
        if peek(Slug, name) is None:
            raise click.BadParameter(f'"{name}" is no name: {_RULE}', param_hint="--product")
        found = _application(app, kind, yes)
        if before is None:
            _write(Path(file), name, found)
        else:
            _add(Path(file), name, found, before)
    except DocumentError as error:
        refuse(error)
    except OperatorError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    if before is None:
        _tell_next(found, load_catalog(file), file)


def _product(yes: bool) -> str:
    folder = re.sub(r"_+", "-", word(Path.cwd().name)) or "app"
    return folder if yes else str(click.prompt("Name of the product", default=folder))


def _application(app: str | None, kind: str | None, yes: bool) -> Application:
    """The one that is named, found or described."""
    if app is None and kind is None:
        app = guess()
        if not yes:
            app = str(click.prompt(_APP, default=app or "none"))
    if app and app != "none":
        return look(app)
    if kind is None and not yes:
        choice = click.Choice(list(_KINDS))
        kind = str(click.prompt("Made with", type=choice, default="other"))
    return Application(kind or "other", rule_of(kind or "other"))


def _write(file: Path, product: str, found: Application) -> None:
    kind = _KINDS[found.kind]
    rule = "" if found.kind == "other" else found.rule
    events = named(product, rule, found.texts, {}) or [example(product, rule)]
    with checked(file, new_catalog(str(file), product, kind.surface, events, rule)):
        pass
    what = f"{count(len(events), 'event')}{_seen(found)}" if found.texts else "an example"
    click.echo(f"Wrote {file}: {what}. The names are yours to change.")


def _add(file: Path, product: str, found: Application, before: Catalog) -> None:
    texts = [text for text in found.texts if not _is_matched(before, found.rule, text)]
    if not texts:
        told = f"all is there{_seen(found)}" if found.texts else "no application was looked at"
        click.echo(f"{file} stays as it is: {told}.")
        return
    taken = {name: event.actions for name, event in before.events.items()}
    events = named(product, found.rule, texts, taken)
    surface = _KINDS[found.kind].surface
    try:
        add(file, before, events, surface, found.rule)
    except NotAdded as error:
        lines = "\n".join(block(events, surface, found.rule, 2))
        raise NotAdded(f"{file} stays as it is: {error}. Add below `events:`\n{lines}") from None
    click.echo(f"Added {count(len(events), 'event')} to {file}:")
    for event in events:
        click.echo(f"  {event.event}  ({event.text})")
    click.echo("A collector that runs reads it on SIGHUP, an application when it starts.")


def _seen(found: Application) -> str:
    thing = "route" if found.rule == "route" else "command"
    return f" for {count(len(found.texts), thing)}"


def _is_matched(catalog: Catalog, rule: str, text: str) -> bool:
    """Whether some rule stands for it already."""
    if rule != "route":
        return Matcher(catalog, rule).find(text) is not None
    return any(fits(told, text) for told, _ in rules(catalog, "route"))


def _tell_next(found: Application, catalog: Catalog, file: str) -> None:
    """The lines for the application, and the commands that come next."""
    kind, words = _KINDS[found.kind], _words(found, catalog)
    click.echo("\nIn the application:\n")
    for line in ("import footfall", f'footfall.configure(catalog="{file}")', kind.line):
        click.echo("    " + line.format(**words))
    if find_spec("psycopg") is None:
        click.echo("\nThen, once:\n\n    pip install 'footfall[collector,embedded]'")
    catalog_option = "" if file == "events.yaml" else f" --catalog {file}"
    click.echo("\nThen, in a terminal each:\n")
    click.echo(f"    footfall up{catalog_option}")
    click.echo(f"    TELEMETRY_ENABLED=true {kind.run.format(**words)}")
    click.echo("\nUse it, and some seconds later look: footfall report usage")


def _words(found: Application, catalog: Catalog) -> dict[str, str]:
    """What the lines say of an application."""
    name = found.name
    target = f"{'--factory ' if found.is_made else ''}{found.module}:{name}"
    return {
        "app": "app" if found.is_made else name,
        "bot": name if name[:1].islower() and not found.is_made and name != "app" else "bot",
        "handler": name if name[:1].isupper() else "Handler",
        "module": found.module,
        "path": found.module.replace(".", "/") + ".py",
        "target": target,
        "event": next(iter(catalog.events)),
    }
