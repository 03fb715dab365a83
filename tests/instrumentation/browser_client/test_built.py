"""The committed .d.ts and .min.js are what the tools make of footfall.js, and small enough."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
TOOLS = REPOSITORY / "instrumentation" / "browser"
MODULE = REPOSITORY / "instrumentation" / "footfall" / "browser"
LIMIT = 2300
"""Bytes, gzipped."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of tools and source, with the tools installed and nothing built."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm (Node.js)")
    root = tmp_path_factory.mktemp("workshop")
    tools, module = root / "browser", root / "footfall" / "browser"
    shutil.copytree(TOOLS, tools, ignore=shutil.ignore_patterns("node_modules"))
    module.mkdir(parents=True)
    shutil.copy(MODULE / "footfall.js", module)
    npm(tools, "install", "--prefer-offline")
    return tools


def npm(directory: Path, *arguments: str) -> None:
    command = ["npm", "--silent", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_committed_files_are_what_the_tools_emit(workshop: Path) -> None:
    """Run `npm install && npm run build` in instrumentation/browser after a change of footfall.js."""
    npm(workshop, "run", "build")
    for name in ("footfall.d.ts", "footfall.min.js"):
        emitted = workshop.parent / "footfall" / "browser" / name
        assert emitted.read_bytes() == (MODULE / name).read_bytes(), name


USES = """
import { configure, consent, flush, hashQuery, status, track } from "../footfall/browser/footfall.js";
import type { Options } from "../footfall/browser/footfall.js";
const options: Options = { endpoint: "/telemetry", events: { prompt_copied: ["variant"] }, dev: "localhost" };
configure(options);
consent(true);
track("prompt_copied", { variant: "json", latency_ms: 12, source: undefined });
track("suggestion_shown", 3);
hashQuery("café").then((known) => track("vault.search_performed", { ...known, result_count: 3 }));
flush();
const waiting: number = status().queued;
"""
MISUSES = """
track("prompt_copied", { variant: { nested: true } });
track(7);
configure({ endpiont: "/telemetry" });
configure({ dev: "everywhere" });
consent("yes");
hashQuery(7);
"""


def test_the_types_help_who_uses_them(workshop: Path) -> None:
    (workshop / "uses.ts").write_text(USES)
    (workshop / "misuses.ts").write_text(USES.replace("waiting", "still") + MISUSES)
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "preserve"]
    shutil.copy(MODULE / "footfall.d.ts", workshop.parent / "footfall" / "browser")
    tsc = [workshop / "node_modules" / ".bin" / "tsc", "--ignoreConfig", *options]
    done = subprocess.run(
        [*tsc, "uses.ts"], cwd=workshop, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    done = subprocess.run(
        [*tsc, "misuses.ts"], cwd=workshop, capture_output=True, text=True, check=False
    )
    first = len(USES.splitlines())
    wrong = {int(line) for line in re.findall(r"^misuses\.ts\((\d+),", done.stdout, re.MULTILINE)}
    assert wrong == {first + n for n in range(2, len(MISUSES.splitlines()) + 1)}, done.stdout


def test_the_minified_module_is_small(capsys: pytest.CaptureFixture[str]) -> None:
    size = len(gzip.compress((MODULE / "footfall.min.js").read_bytes(), 9, mtime=0))
    with capsys.disabled():
        print(f"\nfootfall.min.js: {size} bytes gzipped, limit {LIMIT}")
    assert size <= LIMIT


def test_the_tools_are_private_and_of_exact_versions() -> None:
    package = json.loads((TOOLS / "package.json").read_text())
    assert package["private"] is True
    assert "dependencies" not in package
    versions = package["devDependencies"].values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    assert not (TOOLS / "package-lock.json").exists()


def test_the_module_imports_nothing() -> None:
    for name in ("footfall.js", "footfall.min.js"):
        text = (MODULE / name).read_text()
        assert not re.search(r"\bimport\b\s*[({\"'*]|\brequire\(|\bfrom\s*[\"']", text)
        assert "http" not in text.lower().replace("plain http", "")
