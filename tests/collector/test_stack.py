"""What `footfall compose` and `footfall grafana` write: usable where there is no checkout, never lost."""

import shutil
import stat
import subprocess
import sys
from importlib.metadata import version

import pytest
import yaml
from click.testing import CliRunner

from footfall_collector.cli import main
from footfall_collector.config.config import load_config
from support.installed import ROOT

OPERATORS = [".env", "docker/keys.yaml"]


def footfall(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


def passwords(folder):
    lines = (folder / ".env").read_text().splitlines()
    return {n: v for n, _, v in (line.partition("=") for line in lines) if n.endswith("_PASSWORD")}


@pytest.fixture
def stack(tmp_path):
    """A written stack, with a catalog in it."""
    result = footfall("compose", tmp_path / "stack")
    assert result.exit_code == 0
    assert "footfall init" in result.output
    (tmp_path / "stack" / "events.yaml").write_bytes((ROOT / "tests/events.yaml").read_bytes())
    return tmp_path / "stack"


@pytest.mark.parametrize("checkout", [True, False])
def test_the_compose_file_is_one_by_its_schema(stack, checkout):
    file = (ROOT if checkout else stack) / "docker-compose.yml"
    check = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run([sys.executable, "-m", *check], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_stack_holds_all_that_it_mounts_and_builds_from(stack):
    text = (stack / "docker-compose.yml").read_text()
    services = yaml.safe_load(text)["services"]
    binds = [volume for service in services.values() for volume in service["volumes"]]
    sources = [b.split(":")[0] for b in binds if isinstance(b, str) and b.startswith("./")]
    assert len(sources) == 7
    assert [source for source in sources if not (stack / source).exists()] == []
    assert "${FOOTFALL_CATALOG:-./events.yaml}" in text
    assert "examples" not in text
    context = stack / services["collector"]["build"]["context"]
    assert {"Dockerfile", "constraints.txt"} <= {file.name for file in context.iterdir()}


def test_its_image_has_this_version_and_runs_as_the_image_of_a_checkout(stack):
    ours, theirs = ((f / "Dockerfile").read_text() for f in (stack / "docker", ROOT))
    assert f"ARG FOOTFALL=footfall[digest]=={version('footfall')}\n" in ours
    names = ("ARG PYTHON_IMAGE", "ENV", "USER", "EXPOSE", "ENTRYPOINT", "CMD")
    for name in names:
        (line,) = [line for line in ours.splitlines() if line.startswith(name)]
        assert line in theirs.splitlines()


def test_its_collector_has_a_configuration_that_is_right(stack):
    environment = {"FOOTFALL_DSN": "host=postgres", "TELEMETRY_RETENTION_DAYS": "30"}
    environment["TELEMETRY_HASH_SALT"] = "a salt of thirty-two bytes or more"
    config = load_config(
        stack / "docker/collector.yaml", environment, catalog=str(stack / "events.yaml")
    )
    assert config.grpc.endpoint == "0.0.0.0:4317"


def test_its_passwords_are_made_up_and_for_their_owner_alone(stack, tmp_path):
    assert footfall("compose", tmp_path / "other").exit_code == 0
    mine, others = passwords(stack), passwords(tmp_path / "other")
    assert len(set(mine.values())) == len(mine) == 3
    assert min(map(len, mine.values())) >= 40
    assert not set(mine.values()) & set(others.values())
    assert stat.S_IMODE((stack / ".env").stat().st_mode) == 0o600


def test_what_was_compiled_where_it_is_installed_is_not_written(tmp_path, monkeypatch):
    root = tmp_path / "packed"
    shutil.copytree(ROOT / "docker", root / "docker")
    shutil.copytree(ROOT / "grafana/provisioning", root / "grafana/provisioning")
    for name in ("docker-compose.yml", ".env.example", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    (root / "docker/__pycache__").mkdir(exist_ok=True)
    monkeypatch.setattr("footfall_collector.cli.stack._PACKED", root)
    assert footfall("compose", tmp_path / "stack").exit_code == 0
    assert (tmp_path / "stack/docker/traffic.py").exists()
    assert not (tmp_path / "stack/docker/__pycache__").exists()


def test_writing_it_again_changes_nothing(stack):
    before = {f: f.read_bytes() for f in stack.rglob("*") if f.is_file()}
    result = footfall("compose", stack)
    assert (result.exit_code, result.output.splitlines()[0]) == (
        0,
        f"{stack} has all of it already.",
    )
    assert {f: f.read_bytes() for f in stack.rglob("*") if f.is_file()} == before


def test_a_file_that_was_changed_is_overwritten_on_request_alone(stack):
    changed = stack / "docker-compose.yml"
    original = changed.read_bytes()
    changed.write_text("services: {}\n")
    (stack / "docker/roles.sql").unlink()
    result = footfall("compose", stack)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{changed}: exists and differs",
        "nothing was written; --force overwrites these files",
    ]
    assert not (stack / "docker/roles.sql").exists()
    result = footfall("compose", stack, "--force")
    assert result.output.splitlines()[:3] == [
        f"Written to {stack}:", "  docker-compose.yml", "  docker/roles.sql",
    ]  # fmt: skip
    assert changed.read_bytes() == original


@pytest.mark.parametrize("name", OPERATORS)
def test_what_the_operator_fills_is_never_overwritten(stack, name):
    (stack / name).write_text("filled: yes\n")
    assert footfall("compose", stack, "--force").exit_code == 0
    assert (stack / name).read_text() == "filled: yes\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    result = footfall("compose", tmp_path / "file" / "stack")
    assert result.exit_code == 1
    assert (
        result.stderr
        == f"Error: {tmp_path / 'file' / 'stack'} cannot be written: Not a directory\n"
    )


def test_a_grafana_finds_its_dashboards_where_they_were_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = footfall("grafana", "provisioning")
    assert result.exit_code == 0
    folder = tmp_path / "provisioning"
    assert f"GF_PATHS_PROVISIONING={folder}\n" in result.output
    provider = yaml.safe_load((folder / "dashboards/footfall.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == str(folder / "dashboards")
    for name in ("dashboards/footfall-overview.json", "datasources/footfall.yaml"):
        assert (folder / name).read_bytes() == (ROOT / "grafana/provisioning" / name).read_bytes()


def test_its_role_is_made_without_touching_the_superuser(tmp_path):
    footfall("grafana", tmp_path)
    roles, all_of_it = (tmp_path / "roles.sql").read_text(), (ROOT / "docker/roles.sql").read_text()
    assert all_of_it.startswith(roles)
    assert all_of_it.removeprefix(roles).splitlines()[-1] == 'ALTER ROLE :"USER" PASSWORD NULL;'
    assert ':"USER"' not in roles
    assert "GRANT footfall_reader TO" in roles
