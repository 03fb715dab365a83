"""Every promise of docs/privacy.md and docs/security.md names the test that holds it, which exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("privacy.md", "security.md")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PROMISES = re.compile(r"^\| (.+?) \| (`tests/.+?) \|$", re.MULTILINE)
"""Rows of the tables "What holds this": a promise, and its tests."""


def text(page):
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def functions_in(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("page", PAGES)
def test_the_tests_that_are_named_exist(page):
    named = NAMED.findall(text(page))
    assert len(named) > 10
    missing = [f"{path}::{name}" for path, name in named if name not in functions_in(path)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_names_a_test(page):
    promises = PROMISES.findall(text(page))
    assert len(promises) > 8
    assert [promise for promise, tests in promises if not NAMED.search(tests)] == []


def sections(page):
    """The sections of a page by their headings, with what they say."""
    parts = re.split(r"^#{2,3} (.+)$", text(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


PROMISE_NOTHING = {
    "privacy.md": {"What is not tested"},
    "security.md": {"What is not defended against"},
}


@pytest.mark.parametrize("page", PAGES)
def test_every_section_that_promises_something_names_a_test(page):
    silent = {heading for heading, said in sections(page).items() if not NAMED.search(said)}
    assert silent == PROMISE_NOTHING[page]
