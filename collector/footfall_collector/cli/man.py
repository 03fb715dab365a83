"""The command `footfall man`: the help of all commands as manual pages."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path

import click

_EXIT = {
    "0": "Done.",
    "1": "It could not be done, and one line says why. Of footfall doctor: there is a problem.",
    "2": "A mistake in a file or an argument: every mistake is listed, and nothing was started.",
    "3": "Of footfall doctor: there are warnings, and no problem.",
}


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def man(ctx: click.Context, folder: Path) -> None:
    """Write manual pages to DIR/man1, one for each command.

    DIR is a folder where man looks, such as ~/.local/share/man or /usr/local/share/man. Commands that need
    an extra which is not installed have no page.
    """
    pages = dict(_pages(ctx.find_root().command, "footfall", None))
    try:
        (folder / "man1").mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            (folder / "man1" / f"{name}.1").write_text(page, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    click.echo(f"{len(pages)} pages in {folder / 'man1'}. Next: man footfall")


def _pages(
    command: click.Command, name: str, above: click.Context | None
) -> Iterator[tuple[str, str]]:
    """The page of a command and those of the commands below it, by their names."""
    ctx = click.Context(command, info_name=name, parent=above, **command.context_settings)
    below = dict(_below(command, ctx))
    yield _name(ctx), "\n".join(_page(ctx, below)) + "\n"
    for each, found in below.items():
        yield from _pages(found, each, ctx)


def _name(ctx: click.Context) -> str:
    """A page's name, such as `footfall-keys-new`."""
    return ctx.command_path.replace(" ", "-")


def _below(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            try:
                found = command.get_command(ctx, name)
            except click.ClickException:  # its extra is not installed
                continue
            if found is not None and not found.hidden:
                yield name, found


def _page(ctx: click.Context, below: Mapping[str, click.Command]) -> Iterator[str]:
    """The lines of a page in the macros of man(7)."""
    command, name = ctx.command, _name(ctx)
    summary, *paragraphs = re.split(r"\n{2,}", cleandoc(command.help or ""))
    yield f'.TH "{_text(name.upper())}" 1 "" "Footfall {_text(version("footfall"))}" "Footfall"'
    yield from (".SH NAME", f"{_text(name)} \\- {_text(summary.rstrip('.'))}", ".SH SYNOPSIS")
    yield f"\\fB{_text(ctx.command_path)}\\fR {_text(' '.join(command.collect_usage_pieces(ctx)))}"
    if paragraphs:
        yield ".SH DESCRIPTION"
        yield "\n.PP\n".join(map(_text, paragraphs))
    options = (parameter.get_help_record(ctx) for parameter in command.get_params(ctx))
    yield from _list("OPTIONS", dict(filter(None, options)))
    pages = {f"{name}-{each}(1)": found.get_short_help_str(200) for each, found in below.items()}
    yield from _list("COMMANDS", pages)
    yield from _list("EXIT STATUS", _EXIT)
    if ctx.parent:
        yield from (".SH SEE ALSO", f"\\fB{_text(_name(ctx.parent))}\\fR(1)")


def _list(heading: str, items: Mapping[str, str]) -> Iterator[str]:
    """A section with what each of several words means."""
    if items := {name: meaning for name, meaning in items.items() if meaning}:
        yield f".SH {heading}"
    for name, meaning in items.items():
        yield from (".TP", f"\\fB{_text(name)}\\fR", _text(meaning))


def _text(text: str) -> str:
    """As roff prints it as it is: no control line, hyphens that can be copied."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
