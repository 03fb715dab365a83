"""The pictures of docs/images: for both kinds of pages, from nowhere else, as the commands are today."""

import re
import tempfile
from html import unescape
from pathlib import Path

import click
import pytest

from footfall_collector import cli

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
PICTURES = sorted(IMAGES.glob("*.svg"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HELP = sorted({file.stem.rpartition("-")[0] for file in IMAGES.glob("help*.svg")})
DRAW = "draw them anew: .venv/bin/python docs/images/captures.py help"


def lines(picture):
    """The text of a picture, line by line, without empty lines."""
    shown = re.findall(
        r'<text [^>]*?\by="([\d.]+)"[^>]*>([^<]*)</text>', picture.read_text("utf-8")
    )
    found = {}
    for y, words in shown:
        found[float(y)] = found.get(float(y), "") + unescape(words).replace("\xa0", " ")
    return "\n".join(found[y].rstrip() for y in sorted(found) if found[y].strip())


def command(words):
    """The command of these words, with the context in which it is asked for help."""
    settings = {"terminal_width": 78, **cli.main.context_settings}
    context = click.Context(cli.main, info_name="footfall", **settings)
    found = cli.main
    for word in words:
        found = found.get_command(context, word)
        context = click.Context(found, info_name=word, parent=context)
    return context


def inner(words):
    """The commands of a command."""
    context = command(words)
    return (
        context.command.list_commands(context) if hasattr(context.command, "list_commands") else []
    )


def test_each_is_there_for_dark_and_for_light_pages_and_all_are_small():
    names = {file.stem.rpartition("-")[0] for file in PICTURES}
    assert {f"{n}-{theme}.svg" for n in names for theme in ("dark", "light")} == {
        file.name for file in PICTURES
    }
    assert sum(file.stat().st_size for file in PICTURES) < 1_200_000


def test_none_asks_another_site_for_anything():
    for picture in PICTURES:
        links = re.findall(r"https?://[^\s\"'<>)]+", picture.read_text("utf-8"))
        fetched = re.findall(
            r"(?:url\(|href=|@import)\s*[\"']?(?!#)[^\s)\"']+", picture.read_text()
        )
        assert fetched == [], picture.name
        assert {link.split("/")[2].split(":")[0] for link in links} <= {"www.w3.org", "127.0.0.1"}


def test_none_tells_where_it_was_drawn():
    folders = {str(ROOT), str(Path.home()), tempfile.gettempdir(), "/home/"} - {"/"}
    for picture in PICTURES:
        assert not [folder for folder in folders if folder in lines(picture)], picture.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_picture_of_a_page_is_there(page):
    pictures = r'<(?:img|source)\b[^>]*?\b(?:src|srcset)="([^":]+)"'
    sources = re.findall(pictures, page.read_text("utf-8"))
    assert [source for source in sources if not (page.parent / source).is_file()] == []


def test_every_picture_is_shown():
    gallery = (IMAGES / "README.md").read_text("utf-8")
    assert [file.name for file in PICTURES if f'"{file.name}"' not in gallery] == []


def test_every_command_has_a_picture_of_its_help():
    context = command([])
    names = {"help"} | {f"help-{name}" for name in cli.main.list_commands(context)}
    names |= {f"help-{n}-{i}" for n in cli.main.list_commands(context) for i in inner([n])}
    assert set(HELP) == names, DRAW


@pytest.mark.parametrize("name", HELP)
def test_help_is_as_it_was_drawn(name):
    words = name.split("-")[1:]
    said = command(words).get_help()
    typed = " ".join(["$ footfall", *words, "--help"])
    drawn = lines(IMAGES / f"{name}-dark.svg")
    expected = "\n".join(line.rstrip() for line in f"{typed}\n{said}".splitlines() if line.strip())
    assert drawn == expected, DRAW
