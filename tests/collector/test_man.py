"""The manual pages of `footfall man`: all commands, with all options, as man shows them."""

import shutil
import subprocess

import click
import pytest
from click.testing import CliRunner

from footfall_collector.cli import main

needs_groff = pytest.mark.skipif(not shutil.which("groff"), reason="needs the command groff")


def commands(command=main, name="footfall"):
    """Every command by the name of its page."""
    ctx = click.Context(command, info_name=name)
    found = {name: command}
    if isinstance(command, click.Group):
        for each in command.list_commands(ctx):
            found |= commands(command.get_command(ctx, each), f"{name}-{each}")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("share") / "man"
    done = CliRunner().invoke(main, ["man", str(folder)])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == (
        f"{len(commands())} pages in {folder / 'man1'}. Next: man footfall"
    )
    return folder / "man1"


def shown(page, width=80):
    """A page as plain text; groff complains about nothing."""
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-cbou", f"-rLL={width}n", str(page)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_every_command_has_a_page(folder):
    assert {page.stem for page in folder.iterdir()} == set(commands())
    assert len(commands()) > 20


@needs_groff
def test_every_option_and_command_is_there_and_can_be_copied(folder):
    for name, command in commands().items():
        said = shown(folder / f"{name}.1")
        assert f"{name} - " in " ".join(said.split())
        for option in command.params:
            for spelling in option.opts if isinstance(option, click.Option) else ():
                assert spelling in said.split() or f"{spelling}," in said.split(), name
        if isinstance(command, click.Group):
            for each in command.list_commands(click.Context(command)):
                assert f"{name}-{each}(1)" in said
        assert max(map(len, said.splitlines())) <= 80


@needs_groff
def test_what_roff_would_take_for_itself_is_text(tmp_path):
    @click.command(help="Reads C:\\new-file.\n\n.Begins with a dot, and 'quotes'.")
    @click.option("--as-is", help="'Tis \\fBnot\\fR bold.")
    def odd(as_is):
        """Replaced by the text above."""

    group = click.Group("odd", {"odd": odd}, help="Odd.")
    group.add_command(main.get_command(click.Context(main), "man"))
    done = CliRunner().invoke(group, ["man", str(tmp_path)])
    assert done.exit_code == 0
    said = shown(tmp_path / "man1/footfall-odd.1")
    for text in ("C:\\new-file", ".Begins with a dot, and 'quotes'.", "'Tis \\fBnot\\fR bold."):
        assert text in said


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["man", str(tmp_path / "file/man")])
    assert done.exit_code == 1
    assert "file/man cannot be written: Not a directory" in done.output
