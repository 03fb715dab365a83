"""The corpus of bench/redaction is recognised as well as docs/privacy.md says, class by class."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def documented(heading):
    """Class → (texts, the number in the last column) of the table with this heading."""
    text = (ROOT / "docs/privacy.md").read_text("utf-8")
    (table,) = re.findall(rf"\| {heading} \|.*\n\|---.*\n((?:\|.*\n)+)", text)
    rows = (line.strip("| ").split(" | ") for line in table.splitlines())
    return {name: [int(number.replace(",", "")) for number in numbers] for name, *numbers in rows}


@pytest.fixture(scope="module")
def measured():
    command = [sys.executable, ROOT / "bench", "redaction", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_corpus_is_as_large_as_it_is_said_to_be(measured):
    assert sum(texts for texts, _ in measured["personal"].values()) >= 2_000
    assert sum(texts for texts, _ in measured["harmless"].values()) >= 20_000


def test_of_personal_texts_as_little_is_left_as_the_document_says(measured):
    said = documented("personal")
    assert {name: texts for name, (texts, _) in said.items()} == {
        name: texts for name, (texts, _) in measured["personal"].items()
    }
    for name, (_, found) in measured["personal"].items():
        assert found >= said[name][1], (name, measured["missed"][name])


def test_of_harmless_texts_as_few_are_changed_as_the_document_says(measured):
    said = documented("harmless")
    assert {name: texts for name, (texts, _) in said.items()} == {
        name: texts for name, (texts, _) in measured["harmless"].items()
    }
    for name, (_, changed) in measured["harmless"].items():
        assert changed <= said[name][1], (name, measured["alarms"][name][:9])
