"""What runs on GitHub: the same checks as here, pinned, and allowed no more than it needs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAY_WRITE = {
    "pypi": {"id-token"},
    "image": {"packages", "id-token", "attestations"},
    "release": {"contents"},
}
JOBS = [
    pytest.param(workflow, job, id=f"{workflow}-{job}")
    for workflow, content in WORKFLOWS.items()
    for job in content["jobs"]
]


def steps(workflow, job):
    return WORKFLOWS[workflow]["jobs"][job].get("steps", [])


def run(workflow, job):
    return "\n".join(step.get("run", "") for step in steps(workflow, job))


def needed(job):
    """The jobs of a release without which this one does not begin."""
    needs = WORKFLOWS["release"]["jobs"][job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct | {further for each in direct for further in needed(each)}


def test_the_workflows_are_ones_by_their_schema():
    check = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, FILES)]
    done = subprocess.run([sys.executable, "-m", *check], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert set(WORKFLOWS) == {"ci", "release"}


def test_every_python_that_the_package_names_is_tested_as_here():
    pythons = WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert pythons == named == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    assert run("ci", "test").split() == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_actions_are_pinned_by_the_tag_of_a_version(workflow, job):
    used = [step["uses"] for step in steps(workflow, job) if "uses" in step]
    assert [use for use in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+\.\d+)?", use)] == []


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_a_job_may_do_no_more_than_it_needs(workflow, job):
    content = WORKFLOWS[workflow]["jobs"][job]
    allowed = content.get("permissions", WORKFLOWS[workflow]["permissions"])
    writing = {name for name, how in allowed.items() if how == "write"}
    assert writing == (MAY_WRITE.get(job, set()) if workflow == "release" else set())
    for step in steps(workflow, job):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    assert "secrets" not in str(content)
    assert "timeout-minutes" in content or "uses" in content


def test_nothing_is_published_before_all_is_checked():
    jobs = WORKFLOWS["release"]["jobs"]
    assert jobs["check"]["uses"] == "./.github/workflows/ci.yml"
    assert all("check" in needed(job) for job in set(jobs) - {"check"})
    assert {"pypi", "image", "build"} <= needed("release")


def test_the_package_is_published_by_its_trusted_publisher_with_attestations():
    (publish,) = [s for s in steps("release", "pypi") if "gh-action-pypi-publish" in s["uses"]]
    assert publish["with"] == {"attestations": True}
    assert WORKFLOWS["release"]["jobs"]["pypi"]["environment"] == "pypi"
    assert "python -m build" in run("release", "build")
    assert "twine check --strict" in run("release", "build")


def test_a_release_has_bills_of_material():
    assert "cyclonedx-py environment" in run("release", "build")
    (push,) = [s for s in steps("release", "image") if "build-push" in s.get("uses", "")]
    assert push["with"]["sbom"] is True
    assert push["with"]["provenance"] == "mode=max"


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_no_expression_is_pasted_into_a_shell(workflow, job):
    assert "${{" not in run(workflow, job)
