"""Docker is not needed: what the files of the stack say is compared with each other and with the code."""

import ast
import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml

from footfall_collector import cli
from footfall_collector.config.config import Config, load_config
from footfall_collector.config.environment import ENVIRONMENT as SETTINGS
from footfall_collector.security.keys import Keys
from footfall_exporters.embedded.settings import server_arguments
from grafana.panels import OVERVIEW, REPOSITORY, dashboard

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROVISIONING = REPOSITORY / "grafana" / "provisioning"
SECRETS = ("FOOTFALL_DB_PASSWORD", "GRAFANA_DB_PASSWORD", "GRAFANA_ADMIN_PASSWORD")
IMAGES = ("POSTGRES_IMAGE", "PYTHON_IMAGE", "GRAFANA_IMAGE")
ENVIRONMENT = dict.fromkeys(SECRETS, "secret")
_REFERENCE = re.compile(r"\$\{(\w+)(?:(:\?|:-)([^}]*))?\}")

DOCUMENTED = {
    # https://hub.docker.com/_/postgres, "Environment Variables"
    "postgres": {"POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_INITDB_ARGS"},
    # Grafana, "Configure Grafana": GF_<SECTION>_<KEY>
    "grafana": {
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_USERS_ALLOW_SIGN_UP",
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_ANALYTICS_CHECK_FOR_UPDATES",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "GF_NEWS_NEWS_FEED_ENABLED",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
    },
    # PostgreSQL 32.15, "Environment Variables" of libpq
    "collector": {"PGPASSWORD"},
    # docs/configuration.md, "Environment variables of the SDK"
    "traffic": {"TELEMETRY_ENABLED", "FOOTFALL_ENDPOINT"},
}


def interpolated(value: str, environment: Mapping[str, str]) -> str:
    """As Compose does it (compose-spec, "Interpolation")."""

    def replacement(match: re.Match[str]) -> str:
        name, operator, text = match.groups()
        if environment.get(name):
            return environment[name]
        assert operator != ":?", f"{name}: {text}"
        return text if operator == ":-" else environment.get(name, "")

    return _REFERENCE.sub(replacement, value)


def mounts(service: str) -> Iterator[tuple[str, str]]:
    """What is mounted where: a path of the repository or a volume's name, and a path of the container."""
    for volume in SERVICES[service]["volumes"]:
        if isinstance(volume, dict):
            assert (volume["type"], volume["read_only"]) == ("bind", True)
            source, target = interpolated(volume["source"], {}), volume["target"]
        else:
            source, target, *options = interpolated(volume, {}).split(":")
            assert options in ([], ["ro"])
        assert target.startswith("/")
        yield source, target


def mounted(service: str, path: str) -> Path:
    """The file of the repository that a path in a container shows."""
    for source, target in mounts(service):
        if source.startswith("./") and (path + "/").startswith(target + "/"):
            return REPOSITORY / source / path.removeprefix(target).lstrip("/")
    raise AssertionError(f"{path} is not mounted into {service}")


def environment_of(service: str) -> dict[str, str]:
    return {k: interpolated(v, ENVIRONMENT) for k, v in SERVICES[service]["environment"].items()}


def published(service: str) -> dict[int, str]:
    """Ports of the container, and the address of the host on which they are reached."""
    found = {}
    for port in SERVICES[service].get("ports", []):
        address, outside, inside = interpolated(port, {}).split(":")
        assert outside == inside
        found[int(inside)] = address
    return found


def instructions(name: str) -> list[str]:
    """The arguments of a kind of Dockerfile instruction."""
    return [line.split(maxsplit=1)[1] for line in DOCKERFILE if line.startswith(f"{name} ")]


def collector_config() -> Config:
    """Its configuration, whose paths in the container are those of what is mounted there."""
    return load_config(
        REPOSITORY / "docker" / "collector.yaml",
        environment=environment_of("collector"),
        catalog=str(mounted("collector", "/etc/footfall/events.yaml")),
    )


def test_services_are_whole() -> None:
    assert set(COMPOSE) == {"name", "services", "networks", "volumes"}
    assert set(SERVICES) == {"postgres", "collector", "traffic", "grafana"}
    for name, service in SERVICES.items():
        assert {"image", "environment", "volumes", "restart"} <= set(service), name
        if name != "traffic":  # nobody waits for it
            assert service["healthcheck"]["test"][0] == "CMD"
            assert service["healthcheck"]["retries"] > 0
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_images_are_pinned_to_a_version() -> None:
    pinned, by_digest = r"[a-z/]+:\d[\w.-]*", r"[a-z/]+:\d[\w.-]*@sha256:[0-9a-f]{64}"
    digest = "postgres:18@sha256:" + "0" * 64
    for given, wanted in (({}, pinned), (dict.fromkeys(IMAGES, digest), by_digest)):
        built = SERVICES["collector"]["image"]
        images = [
            images_of(service, given)
            for service in SERVICES.values()
            if "build" in service or service["image"] != built
        ]
        assert [image for image in images if not re.fullmatch(wanted, image)] == []
    (default,) = instructions("ARG")
    assert default == f"PYTHON_IMAGE={images_of(SERVICES['collector'], {})}"
    assert {argument.split()[0] for argument in instructions("FROM")} == {"${PYTHON_IMAGE}"}


def images_of(service: Mapping[str, Any], given: Mapping[str, str]) -> str:
    """The image that a service is, or is built from."""
    build = service.get("build")
    return interpolated(build["args"]["PYTHON_IMAGE"] if build else service["image"], given)


@pytest.mark.parametrize("name", [*SERVICES])
def test_every_service_can_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not service.keys() & {"cap_add", "privileged", "devices", "network_mode", "pid"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 50 <= service["pids_limit"] <= 500
    assert "/tmp" in service["tmpfs"]  # of the container


def test_the_collector_may_have_the_memory_that_its_documentation_names() -> None:
    admitted = collector_config().admission.request_limit_mib
    assert SERVICES["collector"]["mem_limit"] == "1g"
    assert 100 + 6 * admitted <= 1024
    operations = (REPOSITORY / "docs" / "operations.md").read_text()
    assert "about 100 MB a worker, and up to six times `request_limit_mib`" in operations


def test_prometheus_reaches_the_metrics_on_a_network_of_its_own_and_needs_a_key() -> None:
    assert COMPOSE["networks"]["metrics"] == {"name": "footfall-metrics", "internal": True}
    members = {
        name for name, service in SERVICES.items() if "metrics" in service.get("networks", ())
    }
    assert members == {"collector"}
    operator = collector_config().service.operator
    assert operator is not None
    assert operator.endpoint == "0.0.0.0:8888"
    assert mounted("collector", str(operator.keys_file)).name == "keys.yaml"
    keys = Keys.load(REPOSITORY / "docker" / "keys.yaml")
    assert len(keys) == 0


def test_everything_that_is_mounted_exists() -> None:
    volumes = set()
    for service in SERVICES:
        for source, _ in mounts(service):
            if source.startswith("./"):
                assert (REPOSITORY / source).exists(), source
            else:
                volumes.add(source)
    assert volumes == set(COMPOSE["volumes"])


def test_the_data_lies_in_the_volume_of_the_image() -> None:
    assert images_of(SERVICES["postgres"], {}).startswith("postgres:18")  # 18 moved it
    assert ("postgres", "/var/lib/postgresql") in mounts("postgres")
    assert ("grafana", "/var/lib/grafana") in mounts("grafana")


def test_ports_are_reached_from_this_machine_alone() -> None:
    assert published("postgres") == {}
    assert published("collector") == dict.fromkeys((4317, 4318, 8888), "127.0.0.1")
    assert published("grafana") == {3000: "127.0.0.1"}


def test_ports_agree_with_the_collector() -> None:
    config, defaults = collector_config(), Config(catalog=collector_config().catalog)
    addresses = [config.grpc.endpoint, config.http.endpoint]
    assert addresses == ["0.0.0.0:4317", "0.0.0.0:4318"]
    ports = {int(address.rpartition(":")[2]) for address in addresses}
    assert ports == {int(a.endpoint.rpartition(":")[2]) for a in (defaults.grpc, defaults.http)}
    assert ports | {8888} == set(published("collector"))
    assert ports | {8888} == {int(port) for port in instructions("EXPOSE")[0].split()}


def test_the_health_checks_ask_for_ports_that_are_served() -> None:
    checks = {
        name: " ".join(service["healthcheck"]["test"])
        for name, service in SERVICES.items()
        if "healthcheck" in service
    }
    assert "'http://127.0.0.1:8888/readyz'" in checks["collector"]
    ast.parse(SERVICES["collector"]["healthcheck"]["test"][-1])
    assert "http://127.0.0.1:3000/api/health" in checks["grafana"]
    assert "--host=127.0.0.1" in checks["postgres"]


def test_the_collector_is_configured_as_the_code_expects() -> None:
    config = collector_config()
    assert config.catalog.products == ("sahasrahbot",)
    assert config.postgres.dsn == "host=postgres dbname=footfall user=footfall"
    assert config.postgres.retention_days == 30
    settings = yaml.safe_load((REPOSITORY / "docker" / "collector.yaml").read_text())
    catalog = settings["processors"]["footfall"]["catalog"]
    assert mounted("collector", catalog).name == "events.yaml"


def test_the_command_of_the_image_is_one_of_the_command_line() -> None:
    (entrypoint,), (arguments,) = instructions("ENTRYPOINT"), instructions("CMD")
    (program,) = ast.literal_eval(entrypoint)
    assert PYPROJECT["project"]["scripts"][program] == "footfall_collector.cli:main"
    name, *options = ast.literal_eval(arguments)
    above = click.Context(cli.main, **cli.main.context_settings)
    command = cli.main.get_command(above, name)
    assert command is not None
    context = command.make_context(name, options, parent=above)
    assert mounted("collector", context.params["config"]).name == "collector.yaml"


def test_every_variable_in_a_container_is_one_that_something_there_reads() -> None:
    read = {
        "postgres": re.findall(
            r"\\getenv \w+ (\w+)", (REPOSITORY / "docker/roles.sql").read_text()
        ),
        "collector": re.findall(
            r"\$\{env:(\w+)", (REPOSITORY / "docker" / "collector.yaml").read_text()
        ),
        "traffic": [],
        "grafana": re.findall(
            r"\$\{(\w+)\}", (PROVISIONING / "datasources/footfall.yaml").read_text()
        ),
    }
    assert set(read["collector"]) <= set(SETTINGS)
    for service, names in read.items():
        given = set(environment_of(service))
        assert set(names) <= given, service
        assert given - set(names) <= DOCUMENTED[service], service


def test_every_variable_of_the_compose_file_is_explained_and_none_too_many() -> None:
    used = {
        match[1] for match in _REFERENCE.finditer((REPOSITORY / "docker-compose.yml").read_text())
    }
    example = (REPOSITORY / ".env.example").read_text()
    assert used == set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))


def test_no_secret_is_committed_and_none_has_a_default() -> None:
    example = (REPOSITORY / ".env.example").read_text()
    assert re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE) == [(s, "") for s in SECRETS]
    for secret in SECRETS:
        others = {name: "given" for name in SECRETS if name != secret}
        with pytest.raises(AssertionError, match=f"{secret}: copy .env.example"):
            interpolated((REPOSITORY / "docker-compose.yml").read_text(), others)


def test_the_example_of_the_environment_names_the_defaults() -> None:
    example = dict(
        re.findall(r"^#([A-Z_]+)=(.+)$", (REPOSITORY / ".env.example").read_text(), re.MULTILINE)
    )
    text = (REPOSITORY / "docker-compose.yml").read_text()
    defaults = {match[1]: match[3] for match in _REFERENCE.finditer(text) if match[2] == ":-"}
    same = ("TELEMETRY_RETENTION_DAYS", "FOOTFALL_BIND", "PAGE_BIND", "GRAFANA_BIND", *IMAGES)
    assert [example[name] for name in same] == [defaults[name] for name in same]


def test_the_server_log_is_as_silent_as_the_embedded_one(postgres_server: str) -> None:
    with psycopg.connect(postgres_server) as connection:
        defaults = dict(connection.execute("SELECT name, boot_val FROM pg_settings").fetchall())
    command = SERVICES["postgres"]["command"]
    assert command[0] == "postgres"
    given = dict(argument.removeprefix("-c").split("=", 1) for argument in command[1:])
    embedded = dict(a.removeprefix("-c").split("=", 1) for a in server_arguments({}, Path("/run")))
    quoting = {n: v for n, v in embedded.items() if n.startswith(("log_", "debug_"))}
    loud = {
        name: value
        for name, value in quoting.items()
        if (defaults | given)[name] != value and name not in ("log_checkpoints", "log_timezone")
    }
    assert loud == {}
    assert {name: quoting[name] for name in given} == given


def test_the_build_copies_what_exists_and_all_that_the_package_needs() -> None:
    assert SERVICES["collector"]["build"]["context"] == "."
    copied = set()
    for argument in instructions("COPY"):
        *sources, _ = argument.split()
        if not sources[0].startswith("--from="):
            copied |= {source.rstrip("/") for source in sources}
    assert [path for path in copied if not (REPOSITORY / path).exists()] == []
    hatch = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {package.split("/")[0] for package in hatch["packages"]}
    needed |= {PYPROJECT["project"]["readme"], *PYPROJECT["project"]["license-files"]}
    assert {*needed, *hatch["force-include"], "pyproject.toml"} == copied


def test_the_build_context_holds_what_is_copied_and_no_secret() -> None:
    rules = [
        line
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    def sent(path: str) -> bool:
        last = next(r for r in reversed(rules) if fnmatch.fnmatch(path, r.removeprefix("!")))
        return last.startswith("!")

    for argument in instructions("COPY"):
        *sources, _ = argument.split()
        assert all(sent(source) for source in sources if not source.startswith(("--from=", "/")))
    assert not any(sent(name) for name in (".env", ".git", ".venv", "tests", "docker/keys.yaml"))


def test_the_image_installs_an_extra_that_exists_with_the_tested_versions() -> None:
    (install,) = [
        line for line in instructions("RUN") if "pip --python /opt/footfall install" in line
    ]
    extras = re.findall(r"\.\[([\w,]+)\]", install)[0].split(",")
    assert set(extras) <= set(PYPROJECT["project"]["optional-dependencies"])
    assert "--constraint constraints.txt" in install


def test_the_collector_runs_as_an_ordinary_user() -> None:
    (user,) = instructions("USER")
    assert int(user.split(":")[0]) > 0
    assert SERVICES["collector"]["cap_drop"] == ["ALL"]


def test_the_data_source_is_the_one_that_the_dashboard_asks() -> None:
    provisioned = yaml.safe_load((PROVISIONING / "datasources" / "footfall.yaml").read_text())
    (source,) = provisioned["datasources"]
    asked = re.findall(r'"datasource": \{[^}]*\}', OVERVIEW.read_text())
    assert len(asked) > 10
    assert {
        (re.findall(r'"type": "(.*)"', a)[0], re.findall(r'"uid": "(.*)"', a)[0]) for a in asked
    } == {(source["type"], source["uid"])}
    environment = environment_of("grafana")
    assert interpolated(source["url"], environment) == "postgres:5432"
    assert (
        interpolated(source["user"], environment) == environment_of("postgres")["GRAFANA_DB_USER"]
    )
    database = interpolated(source["jsonData"]["database"], environment)
    assert database == environment_of("postgres")["POSTGRES_DB"]


def test_grafana_finds_the_dashboard_and_opens_with_it() -> None:
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "footfall.yaml").read_text())
    (folder,) = [entry["options"]["path"] for entry in provider["providers"]]
    assert mounted("grafana", folder).resolve() == OVERVIEW.parent
    home = environment_of("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounted("grafana", home).resolve() == OVERVIEW
    assert dashboard()["uid"] == "footfall-overview"
