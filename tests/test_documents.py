"""What documents and comments refer to is there: files, headings, decisions."""

import os
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ["processors", "instrumentation", "exporters", "collector", "grafana", "examples"]
PACKAGES = [
    *(file.parent for room in ROOMS for file in sorted((ROOT / room).glob("*/__init__.py"))),
    *(file.parent for file in sorted((ROOT / "examples").glob("*/*/__init__.py"))),
]
FOLDERS = [*ROOMS, "docs", "tests", "bench", "docker"]
NOT_OURS = {"node_modules", "__pycache__"}


def files(*kinds):
    """The files of the repository that have one of these suffixes."""
    return [file for file in everything() if file.suffix in kinds]


@cache
def everything():
    """The files of the repository, in order."""
    found = [file for file in ROOT.iterdir() if file.is_file()]
    for top in FOLDERS:
        for folder, inside, names in os.walk(ROOT / top):
            inside[:] = set(inside) - NOT_OURS
            found += [Path(folder, name) for name in names]
    return sorted(file for file in found if file.is_file())


DOCUMENTS = files(".md")
CODE = files(".py", ".sql", ".js", ".mjs", ".ts", ".yaml", ".yml", ".toml", "")
CODE.remove(Path(__file__))
WITH_PATHS = {f"{folder}/README.md" for folder in [*ROOMS, "docs", "tests", "bench"]}
WITH_PATHS.add("docs/design.md")
MAPS = [file for file in DOCUMENTS if str(file.relative_to(ROOT)) in WITH_PATHS]


def name(file):
    return str(file.relative_to(ROOT))


@cache
def text(file):
    return file.read_text("utf-8", "replace")


@cache
def headings(file):
    return {h.strip().replace("`", "") for h in re.findall(r"(?m)^#+ (.*)$", text(file))}


def anchor(heading):
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def paths(document):
    """What a document names in backticks that has the form of a path of ours."""
    named = re.findall(r"`([^`\s]+)`", re.sub(r"(?ms)^```.*?^```", "", text(document)))
    form = re.compile(r"[\w.*-]+(/[\w.*-]+)*/|([\w.*-]+/)*[\w*-]+\.(py|md|sql|js)")
    return sorted({path for path in named if form.fullmatch(path)})


def is_there(path, document):
    """Paths begin at the root, beside the document, or in the package of a room."""
    return any(any(place.glob(path.rstrip("/"))) for place in (ROOT, document.parent, *PACKAGES))


@pytest.mark.parametrize("document", MAPS, ids=name)
def test_every_path_that_a_map_names_exists(document):
    assert [path for path in paths(document) if not is_there(path, document)] == []


def test_the_maps_name_paths():
    assert len(MAPS) > len(ROOMS)
    assert len(paths(ROOT / "docs/design.md")) > 50


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_to_a_file_and_to_its_heading(document):
    for target, _, at in re.findall(r"\]\(([^)#:\s]*)(#([^)\s]+))?\)", text(document)):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not at or at in {anchor(h) for h in headings(file)}, f"{target}#{at}"


def cited(file):
    """The documents that a text names from the root, with the heading where it names one."""
    flowing = re.sub(r"\s*\n\s*(?:#|--|//|\*)?\s*", " ", text(file))
    return re.findall(r'(?<![\w./])(docs/[\w./-]+\.md)(?:, "([^"]+)")?', flowing)


def test_every_document_that_is_cited_has_the_heading():
    for file in [*CODE, *DOCUMENTS]:
        for document, heading in cited(file):
            assert (ROOT / document).is_file(), f"{name(file)}: {document}"
            known = headings(ROOT / document)
            assert not heading or heading in known, f"{name(file)}: {document}, {heading}"


def test_the_code_cites_the_design():
    found = {heading for file in CODE for document, heading in cited(file) if "design" in document}
    assert {"Exactly once", "Subscribers", "The hot path"} <= found


def test_every_decision_that_is_cited_exists():
    there = {int(file.name[:4]) for file in (ROOT / "docs/adr").glob("[0-9]*.md")}
    for file in [*CODE, *DOCUMENTS]:
        numbers = {int(number) for number in re.findall(r"\bADR (\d+)", text(file))}
        assert numbers <= there, name(file)


ELSEWHERE = re.compile(
    r"\bDESIGN\b|\bOTLP\.md|\bFACTS\b|\bREQUIREMENTS\b|\bROLLUPS\.md|\bissue \d", re.ASCII
)
"""What a reader of the repository cannot look up."""
CODES = re.compile(r"\([A-H]\d{1,2}(?:(?:,| to| and) [A-H]\d{1,2})*[;)]")


def test_nothing_refers_to_what_is_not_in_the_repository():
    for file in [*CODE, *DOCUMENTS]:
        assert ELSEWHERE.findall(text(file)) + CODES.findall(text(file)) == [], name(file)
