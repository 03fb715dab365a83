"""A field, type or reason that is not documented does not exist for its users."""

import re
from pathlib import Path

import msgspec
import pytest

from footfall_processors import ERROR_TYPES, Drop, Event, Hash, Loss, Type, load_catalog
from footfall_processors.catalog import DROPPED, EMITTED, Attribute, Rule, Source
from footfall_processors.error_types import STATUS_OF
from support.documents import CATALOG, LOSSES, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("struct", "heading"),
    [(Source, "The file"), (Event, "An event"), (Rule, "A rule"), (Attribute, "An attribute")],
)
def test_every_field_of_the_catalog_is_documented_as_it_is(struct, heading):
    documented = table(CATALOG, heading)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    assert set(documented) == set(fields)
    for name, (needed, *_, meaning) in documented.items():
        assert (needed == "yes") == fields[name].required, name
        assert len(meaning) > 10, name


@pytest.mark.parametrize(
    ("file", "heading", "names"),
    [
        (CATALOG, "Types", Type),
        (CATALOG, "Hash periods", Hash),
        (CATALOG, "Error types", ERROR_TYPES),
        (CATALOG, "Built in", (EMITTED, DROPPED)),
        (LOSSES, "In the application", Drop),
    ],
)
def test_every_name_is_documented_and_nothing_else(file, heading, names):
    documented = table(file, heading)
    assert set(documented) == set(names)
    assert all(cells[-1] for cells in documented.values())


def test_every_loss_is_documented_with_what_to_do():
    events = table(LOSSES, "Whole events")
    attributes = table(LOSSES, "Attributes of an event that is stored")
    assert set(events) | set(attributes) == set(Loss)
    assert not set(events) & set(attributes)
    for reason, (meaning, advice) in (events | attributes).items():
        assert meaning, reason
        assert advice, reason


def test_the_status_that_an_error_type_implies_is_documented():
    for name, (status, _) in table(CATALOG, "Error types").items():
        assert status == STATUS_OF.get(name, "error")


def test_the_example_is_a_catalog_and_shows_most_of_it(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", CATALOG.read_text("utf-8"), re.DOTALL)
    file = tmp_path / "events.yaml"
    file.write_text(example)
    load_catalog(file)
    for struct in (Source, Event, Attribute):
        for field in msgspec.structs.fields(struct):
            assert f"{field.encode_name}:" in example


def test_the_rooms_readme_names_every_module():
    readme = (ROOT / "processors/README.md").read_text("utf-8")
    modules = {p.stem for p in (ROOT / "processors/footfall_processors").glob("[a-z]*.py")}
    assert modules
    assert all(f"`{module}`" in readme for module in modules)


@pytest.mark.parametrize("file", [CATALOG, LOSSES, ROOT / "processors/README.md"])
def test_links_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)#]*)#?[^)]*\)", file.read_text("utf-8")):
        assert (file.parent / target).exists(), target
