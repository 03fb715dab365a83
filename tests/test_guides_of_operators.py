"""The guides for those who run the collector: units and sites as they stand there, with the real programs."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import grpc
import httpx
import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from conftest import copied
from footfall_collector.process.app import running
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import connect_sync, prepare
from footfall_exporters.postgres.connecting import SCHEMA
from footfall_exporters.postgres.readers import ReadersConfig, admit
from support.certificates import Authority
from support.collectors import Client, configured
from support.otlp import traces
from support.ports import free_port, listens
from support.terminal import Terminal
from support.waiting import until
from support.walkthrough import Command, File, Sql, blocks, steps

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs/guides"
PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
"""Where proxies are, whatever the shell says."""


def needs(program: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not shutil.which(program, path=PROGRAMS), reason=f"needs Debian's package {package}"
    )


def files(guide: str) -> dict[str, str]:
    """The files that a guide's reader writes, by their names without folders."""
    found = steps(GUIDES / f"{guide}.md")
    return {Path(step.name).name: step.text for step in found if isinstance(step, File)}


def settings(unit: str, name: str) -> list[str]:
    """What a unit says under a name, line by line."""
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}=")]


# systemd


@needs("systemd-analyze", "systemd")
@pytest.mark.parametrize(
    ("guide", "name", "exposure"),
    [("systemd", "footfall.service", 20), ("bots", "bot.service", 100)],
)
def test_systemd_reads_the_unit_and_finds_it_hardened(guide, name, exposure, tmp_path):
    text = files(guide)[name]
    for program in ("/opt/footfall/bin/footfall", "/opt/seedbot/bin/python"):
        text = text.replace(program, sys.executable)
    (tmp_path / name).write_text(text)
    for arguments in (
        ["verify", "--recursive-errors=no"],
        ["security", "--offline=true", f"--threshold={exposure}"],
    ):
        done = subprocess.run(
            ["systemd-analyze", *arguments, f"./{name}"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Unknown" not in done.stderr
    (kill,) = settings(text, "KillSignal") or ["SIGTERM"]
    assert kill == ("SIGINT" if guide == "bots" else "SIGTERM")


def test_the_service_starts_with_its_configuration_and_its_credentials(
    postgres_directory, operators_server
):
    home, state = postgres_directory / "home", postgres_directory / "state"
    terminal = Terminal(postgres_directory, superuser=operators_server)
    server = conninfo_to_dict(operators_server)
    terminal.meant = {
        "/etc/footfall": str(home),
        "/var/lib/footfall": str(state),
        "/opt/footfall/bin/footfall": "footfall",
        "db.example.org": f"{quote(str(server['host']), safe='')}:{server['port']}",
    }
    unit = files("systemd")["footfall.service"]
    credentials = postgres_directory / "credentials"
    (pgpass,) = [text for language, text in blocks(GUIDES / "systemd.md") if language == "text"]
    before = steps(ROOT / "docs/operations.md")
    (database, *_) = [step for step in before if isinstance(step, Sql)]
    (catalog,) = [s for s in before if isinstance(s, File) and s.name == "events.yaml"]
    (certificate,) = [s.line for s in before if isinstance(s, Command) and s.program == "openssl"]
    certificate = certificate.replace("tls/server.key", str(credentials / "server.key"))
    (key,) = [
        step.line.removeprefix("sudo -u footfall ")
        for step in steps(GUIDES / "systemd.md")
        if isinstance(step, Command) and step.program == "sudo"
    ]
    environment = " ".join(settings(unit, "Environment"))
    environment = environment.replace("%d", str(credentials)).replace("%S/footfall", str(state))
    assert {line.partition(":")[0] for line in settings(unit, "LoadCredential")} == {
        "server.key",
        "pgpass",
    }
    (start,) = settings(unit, "ExecStart")
    terminal.follow([
        database,
        catalog,
        File("collector.yaml", files("systemd")["collector.yaml"]),
        File(str(credentials / "pgpass"), pgpass),
        Command(f"chmod 600 {credentials}/pgpass && mkdir {state}"),
        Command(certificate.replace("tls/server.pem", "server.pem")),
        Command(key),
        Command(f"export CREDENTIALS_DIRECTORY={credentials} {environment}"),
        Command(start.replace("/opt/footfall/bin/footfall", "footfall")),
        Command("curl --fail --silent http://127.0.0.1:8888/readyz"),
    ])  # fmt: skip


# Reverse proxies


@contextmanager
def nginx(folder: Path, site: str) -> Iterator[None]:
    """A running nginx with this site; everything that it writes is in the folder."""
    (folder / "footfall.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}}\n"
        f"http {{ access_log {folder}/access;\n{temporary} include {folder}/footfall.conf; }}\n"
    )
    command = [
        shutil.which("nginx", path=PROGRAMS),
        "-e",
        f"{folder}/errors",
        "-c",
        f"{folder}/nginx.conf",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


@needs("nginx", "nginx")
async def test_nginx_passes_both_protocols_on_and_writes_down_nobody(
    tmp_path, catalog, store_database
):
    """Under one name and port, with TLS; what is too much for nginx' default arrives as well."""
    certificate, key = Authority(tmp_path, "authority").sign("telemetry")
    port = free_port()
    site = files("proxy")["footfall.conf"]
    async with running(configured(catalog, store_database)) as collector:
        meant = {
            "listen 443": f"listen 127.0.0.1:{port}",
            "/etc/ssl/telemetry.pem": str(certificate),
            "/etc/ssl/telemetry.key": str(key),
            "127.0.0.1:4317": collector.grpc,
            "127.0.0.1:4318": collector.http,
        }
        for name, value in meant.items():
            assert site.count(name) == 1
            site = site.replace(name, value)
        authority = (tmp_path / "authority.pem").read_bytes()
        with nginx(tmp_path, site):
            await until(lambda: listens(f"127.0.0.1:{port}"))
            async with (
                grpc.aio.secure_channel(
                    f"localhost:{port}", grpc.ssl_channel_credentials(authority)
                ) as channel,
                httpx.AsyncClient(
                    base_url=f"https://localhost:{port}",
                    verify=ssl.create_default_context(cadata=authority.decode()),
                    trust_env=False,
                ) as http,
            ):
                client = Client(collector, channel, http)
                for number, protocol in enumerate(("grpc", "http"), start=1):
                    large = traces("shop.order", number=40_000, length=number)
                    assert len(large) > 2**20
                    await client.send(protocol, "traces", large)
                    small = traces("shop.order", length=number)
                    await client.send(protocol, "traces", small, compressed=True)
                assert (await http.get("/metrics")).status_code == 404
    with psycopg.connect(store_database) as session:
        stored = session.execute("SELECT count(*) FROM reporting.events").fetchone()
    assert stored == (80_002,)
    assert not (tmp_path / "access").read_text()


@needs("caddy", "caddy")
def test_caddy_reads_the_site(tmp_path):
    (site,) = [text for language, text in blocks(GUIDES / "proxy.md") if language == "text"]
    (tmp_path / "Caddyfile").write_text(site)
    done = subprocess.run(
        ["caddy", "adapt", "--pretty"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    routes = json.loads(done.stdout)["apps"]["http"]["servers"]["srv0"]["routes"][0]
    (handlers,) = routes["handle"]
    inner = handlers["routes"]
    assert [route["match"][0]["path"] for route in inner] == [
        ["/opentelemetry.proto.collector.*"],
        ["/v1/*"],
    ]
    upstreams = [route["handle"][0]["upstreams"][0]["dial"] for route in inner]
    assert upstreams == ["127.0.0.1:4317", "127.0.0.1:4318"]
    assert inner[0]["handle"][0]["transport"]["versions"] == ["h2c", "2"]


# Grafana


@pytest.fixture
def provisioned(tmp_path):
    """The data source that `footfall grafana` writes, with the variables of the guide."""
    (script,) = [text for language, text in blocks(GUIDES / "grafana.md") if language == "text"]
    words = [word for line in script.splitlines() for word in line.split() if "=" in word]
    variables = dict(word.split("=", 1) for word in words)
    folder = tmp_path / "provisioning"
    footfall = Path(sys.executable).with_name("footfall")
    subprocess.run([footfall, "grafana", folder], check=True, capture_output=True)
    text = (folder / "datasources/footfall.yaml").read_text()

    def filled(**own):
        known = {**variables, **own}
        (source,) = yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda m: known[m[1]], text))[
            "datasources"
        ]
        return source

    assert variables["GF_PATHS_PROVISIONING"] == "$PWD/provisioning"
    return filled


def test_the_provisioned_data_source_reads_footfalls_own_postgres(
    provisioned, pristine, postgres_directory, catalog
):
    (said,) = [
        yaml.safe_load(step.text)["exporters"]["postgres"]["readers"]
        for step in steps(GUIDES / "grafana.md")
        if isinstance(step, File) and step.name == "collector.yaml"
    ]
    password, port = "f00tfa11" * 6, free_port()
    assert provisioned(GRAFANA_DB_PASSWORD=password)["url"] == said["endpoint"]
    assert said["password"] == "${env:GRAFANA_DB_PASSWORD}"
    readers = ReadersConfig(endpoint=f"127.0.0.1:{port}", password=password)
    directory = copied(pristine, postgres_directory / "postgres")
    with EmbeddedPostgres(directory, {"fsync": "off"}, listening=readers.listening) as dsn:
        prepare(dsn, Settings(catalog))
        with connect_sync(dsn, SCHEMA) as connection:
            admit(connection, readers)
        source = provisioned(GRAFANA_DB_PASSWORD=password, FOOTFALL_DB_HOST=readers.endpoint)
        host, _, number = source["url"].partition(":")
        with psycopg.connect(
            host=host,
            port=number,
            user=source["user"],
            password=source["secureJsonData"]["password"],
            dbname=source["jsonData"]["database"],
            sslmode=source["jsonData"]["sslmode"],
        ) as session:
            assert session.execute("SELECT count(*) FROM reporting.usage").fetchone() == (0,)
            assert not session.pgconn.ssl_in_use
            allowed = "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"
            assert session.execute(allowed).fetchone() == (10,)
            assert source["jsonData"]["maxOpenConns"] == 5


# Shells


def test_bash_completes_commands_options_and_names_of_reports(postgres_directory):
    typed = [step for step in steps(GUIDES / "shell.md") if isinstance(step, Command)]
    looked = [
        Command(
            f"COMP_WORDS=({words}); COMP_CWORD={words.count(' ')}; COMPREPLY=();"
            ' _footfall_completion footfall; echo "${COMPREPLY[*]}"'
        )
        for words in (
            "footfall val",
            "footfall keys rev",
            "footfall report us",
            "footfall up --wor",
        )
    ]
    source = Command("source ~/.local/share/bash-completion/completions/footfall")
    said = Terminal(postgres_directory).follow([*typed, source, *looked])
    answers = [line for line in said.splitlines() if line and not line.startswith("$")]
    assert answers[-4:] == ["validate", "revoke", "usage", "--workers"]
