"""What the command does where `pip install footfall` was run, without extras."""

import shutil

import click
import pytest

from conftest import CATALOG
from footfall_collector import cli
from instrumentation.programs import python
from support.installed import ROOMS, footfall, link, required


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folders with all that a base installation has."""
    folder = tmp_path_factory.mktemp("base")
    for name in required("footfall") | {"footfall"}:
        link(name, folder)
    return [*ROOMS, folder]


def test_it_brings_click_and_none_of_the_collector():
    names = required("footfall")
    assert {"click", "msgspec", "opentelemetry-sdk"} <= names
    assert not names & {"rich", "psycopg", "uvicorn", "starlette", "alembic"}


def test_the_version_is_said(installed):
    done = footfall(installed, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("footfall, version 0.")


def test_all_commands_are_listed_each_in_one_line(installed):
    done = footfall(installed, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert set(cli.main.list_commands(click.Context(cli.main))) <= set(listed)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert len(listed) == len(set(listed))


def test_a_catalog_is_checked(installed, tmp_path):
    done = footfall(installed, "validate", CATALOG)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a valid catalog with 5 events" in done.stdout
    wrong = tmp_path / "events.yaml"
    wrong.write_text("product: a\nevents: {C: {surface: web, feature: x}}\n")
    done = footfall(installed, "validate", wrong)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{wrong}:2:")


def test_a_catalog_is_begun(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = footfall(installed, "init", "--yes", "--product", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert "pip install 'footfall[collector,embedded]'" in done.stdout
    done = footfall(installed, "validate", "events.yaml")
    assert done.stdout == "events.yaml: a valid catalog with 1 event\n"


def test_a_catalog_is_written_and_its_statement_is_printed(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = footfall(installed, "init", "--kind", "other", "--product", "shop", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    done = footfall(installed, "statement", "--catalog", "events.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "shop" in done.stdout


def test_what_is_kept_on_this_machine_is_shown(installed, tmp_path):
    done = footfall(installed, "inspect", "--product", "shop", HOME=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith("Product: shop\n")
    assert done.stderr.startswith("Nothing is kept on this machine.")


def test_the_statement_of_a_catalog_is_printed(installed):
    done = footfall(installed, "statement", "--format", "html", "--catalog", CATALOG)
    assert (done.returncode, done.stderr) == (0, "")
    assert "<h1>What testbed counts</h1>" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        *(["up"], ["doctor"], ["report", "usage"], ["keys", "list"]),
        *(["validate", "collector.yaml"], ["statement", "--config", "collector.yaml"]),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_else_is_needed_is_said_in_one_line(installed, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "collector.yaml").write_text("receivers: {}\n")
    shutil.copy(CATALOG, tmp_path)
    done = footfall(installed, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: `footfall {arguments[0]}` needs ")
    assert line.endswith(": pip install 'footfall[collector]'")


def test_the_demo_names_its_extra(installed):
    done = footfall(installed, "demo", "--once")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(": pip install 'footfall[demo]'")


def test_without_any_dependency_one_line_says_so(installed):
    done = footfall(ROOMS, "--version")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "footfall: click is not installed: pip install footfall"


def test_a_module_of_footfall_that_is_missing_is_no_extra():
    missing = ModuleNotFoundError("No module named 'footfall_x'", name="footfall_x")
    assert cli._told("up", missing) is missing


def test_listing_commands_imports_none_of_them():
    listed = python("""
        import sys
        from footfall_collector.cli import main
        try:
            main(["--help"])
        except SystemExit:
            print(*(name for name in sys.modules if name.startswith("footfall_collector.cli.")), "end")
    """)
    assert listed.splitlines()[-1] == "end"


def test_completion_lists_commands_without_importing_them(installed):
    done = footfall(
        installed, _FOOTFALL_COMPLETE="bash_complete", COMP_WORDS="footfall va", COMP_CWORD="1"
    )
    assert done.stdout.split() == ["plain,validate"]
