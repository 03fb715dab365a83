"""The committed .d.ts and .min.js are what the tools make of the sources, and small enough."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from instrumentation.browser_client.tools import MODULE, TOOLS, npm

LIMITS = {"footfall": 2320, "psr": 3000}
"""Bytes of each module, gzipped."""


def test_the_committed_files_are_what_the_tools_emit(workshop: Path) -> None:
    """Run `npm install && npm run build` in instrumentation/browser after a change of a source."""
    npm(workshop, "run", "build")
    for name in (f"{module}.{kind}" for module in LIMITS for kind in ("d.ts", "min.js")):
        emitted = workshop.parent / "footfall" / "browser" / name
        assert emitted.read_bytes() == (MODULE / name).read_bytes(), name


USES = """
import { offer, type Psr } from "../footfall/browser/psr.js";
import { configure, consent, flush, hashQuery, status, track } from "../footfall/browser/footfall.js";
import type { Options } from "../footfall/browser/footfall.js";
const options: Options = { endpoint: "/telemetry", events: { prompt_copied: ["variant"] }, dev: "localhost",
  batchSize: 20, flushInterval: 2000 };
configure(options);
consent(true);
track("prompt_copied", { variant: "json", latency_ms: 12, source: undefined });
track("suggestion_shown", 3);
hashQuery("café").then((known) => track("vault.search_performed", { ...known, result_count: 3 }));
offer({ promptId: "p1" });
const texts = { question: "Wie war dieser Prompt?", stars: (n: number) => `${n} Sterne` };
document.querySelector<Psr>("footfall-psr")
  ?.offer({ promptId: "p1", version: "3", source: "duplicate", texts });
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
offer({ prompt_id: "p1" });
offer({ promptId: "p1", source: "elsewhere" });
offer({ promptId: "p1", texts: { stars: 5 } });
"""


def test_the_types_help_who_uses_them(workshop: Path) -> None:
    (workshop / "uses.ts").write_text(USES)
    (workshop / "misuses.ts").write_text(USES.replace("waiting", "still") + MISUSES)
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "preserve"]
    for name in LIMITS:
        shutil.copy(MODULE / f"{name}.d.ts", workshop.parent / "footfall" / "browser")
    tsc = [workshop / "node_modules" / ".bin" / "tsc", "--ignoreConfig", *options]
    done = subprocess.run(
        [*tsc, "uses.ts", "misuses.ts"], cwd=workshop, capture_output=True, text=True, check=False
    )
    first = len(USES.splitlines())
    named = re.findall(r"^(?! )(.+?)(?:\((\d+),.*)?$", done.stdout, re.MULTILINE)
    wrong = {("misuses.ts", str(first + n)) for n in range(2, len(MISUSES.splitlines()) + 1)}
    assert set(named) == wrong, done.stdout


@pytest.mark.parametrize("name", LIMITS)
def test_the_minified_module_is_small(capsys: pytest.CaptureFixture[str], name: str) -> None:
    size = len(gzip.compress((MODULE / f"{name}.min.js").read_bytes(), 9, mtime=0))
    with capsys.disabled():
        print(f"\n{name}.min.js: {size} bytes gzipped, limit {LIMITS[name]}")
    assert size <= LIMITS[name]


def test_the_tools_are_private_and_of_exact_versions() -> None:
    package = json.loads((TOOLS / "package.json").read_text())
    assert package["private"] is True
    assert "dependencies" not in package
    versions = package["devDependencies"].values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    assert not (TOOLS / "package-lock.json").exists()


def test_the_module_imports_nothing() -> None:
    for name in (f"{module}.{kind}" for module in LIMITS for kind in ("js", "min.js")):
        text = (MODULE / name).read_text()
        assert not re.search(r"\bimport\b\s*[({\"'*]|\brequire\(|\bfrom\s*[\"']", text)
        text = text.lower().replace("plain http", "")
        assert "http" not in text.replace("http://www.w3.org/", ""), "but XML's namespaces"
