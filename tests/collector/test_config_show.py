import json

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from footfall_collector.cli import main
from footfall_collector.cli.config import effective
from footfall_collector.config.masking import MASK, Masking, is_secret_name
from footfall_processors import DocumentError

SALT = "planted-salt-of-more-than-thirty-two-bytes"


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "collector.yaml"

    def write(text):
        path.write_text(text)
        return path

    return write


def shown(path, **environment):
    """The values in force by their dotted keys, each with its source."""
    return {
        ".".join(map(str, each.keys)): (each.value, each.source)
        for each in effective(path, environment)
    }


# Where values come from


def test_a_value_comes_from_the_file_a_variable_or_the_defaults(write):
    path = write(
        """\
receivers:
  otlp:
    protocols: {grpc: null}
exporters:
  postgres:
    retention_days: "${env:DAYS}"
"""
    )
    values = shown(path, DAYS="12", FOOTFALL_DSN="dbname=a", TELEMETRY_RETENTION_DAYS="20")
    assert values["receivers.otlp.protocols.grpc"] == (None, f"{path}:3")
    assert values["exporters.postgres.retention_days"] == (12, f"{path}:6 $DAYS")
    assert values["exporters.postgres.dsn"] == ("dbname=a", "FOOTFALL_DSN")
    assert values["receivers.otlp.protocols.http.endpoint"] == ("127.0.0.1:4318", "default")
    assert values["service.pipelines.logs.exporters"] == (["postgres"], "default")


def test_the_sink_is_named_as_the_source_of_the_pipelines(write):
    values = shown(None, TELEMETRY_SINK="db")
    assert values["service.pipelines.traces.exporters"] == (["postgres"], "TELEMETRY_SINK")


def test_files_are_shown_as_they_are_opened(write, tmp_path):
    path = write(
        """\
receivers:
  otlp:
    auth: {keys_file: keys.yaml}
    protocols: {http: {tls: {cert_file: cert.pem, key_file: private/key.pem}}}
"""
    )
    values = shown(path)
    folder = tmp_path
    assert values["receivers.otlp.auth.keys_file"][0] == str(folder / "keys.yaml")
    assert values["receivers.otlp.protocols.http.tls.key_file"][0] == str(
        folder / "private/key.pem"
    )


def test_a_configuration_with_mistakes_is_not_shown(write):
    with pytest.raises(DocumentError):
        shown(write("exporters: {postgres: {retention_days: 0}}"))


# What is hidden

PLANTED = "planted-secret-4711"


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        (f"exporters: {{postgres: {{dsn: postgresql://me:{PLANTED}@db/x}}}}", {}),
        (f"exporters: {{postgres: {{dsn: host=db password={PLANTED}}}}}", {}),
        (f"exporters: {{postgres: {{dsn: 'postgresql://db/x?sslpassword={PLANTED}'}}}}", {}),
        ("exporters: {postgres: {dsn: 'host=db user=${env:DB_PASSWORD}'}}", {"DB_PASSWORD": PLANTED}),
        ("exporters: {postgres: {data_directory: '/srv/${env:MY_TOKEN}'}}", {"MY_TOKEN": PLANTED}),
        ("exporters: {postgres: {data_directory: '${env:MY_TOKEN}'}}", {"MY_TOKEN": "x1"}),
        (f"exporters: {{postgres: {{data_directory: /srv/{PLANTED}}}}}", {"API_KEY": PLANTED}),
        (f"processors: {{footfall: {{hash_salt: {PLANTED}-of-more-than-32-bytes}}}}", {}),
        ("", {"TELEMETRY_HASH_SALT": f"{PLANTED}-of-more-than-32-bytes"}),
        ("", {"FOOTFALL_DSN": f"postgresql://me:{PLANTED}@db/x"}),
        ("exporters: {postgres: {retention_days: '${env:DAYS_KEY}'}}", {"DAYS_KEY": "777"}),
    ],
)  # fmt: skip
def test_a_secret_is_hidden_wherever_it_stands(write, text, environment):
    path = write(text)
    result = CliRunner(env=environment).invoke(main, ["config", "show", "--config", str(path)])
    assert result.exit_code == 0, result.output
    printed = CliRunner(env=environment).invoke(main, ["config", "show", "-c", str(path), "--json"])
    for output in (result.output, printed.output):
        assert MASK in output
        for secret in (PLANTED, "x1", "777"):
            assert secret not in output


def test_the_rest_of_a_dsn_is_shown(write):
    dsn, _ = shown(None, FOOTFALL_DSN="postgresql://me:p4ss@db:5433/x?sslmode=require")[
        "exporters.postgres.dsn"
    ]
    assert set(dsn.split()) == {
        "host=db", "port=5433", "dbname=x", "user=me", "sslmode=require", f"password={MASK}",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["password", "PGPASSWORD", "api_secret", "project_api_key", "writeKey", "hash_salt", "AUTH_TOKEN",
     "SLACK_WEBHOOK_URL", "credentials", "API_KEYS", "authorization", "DB_PASS"],
)  # fmt: skip
def test_names_of_secrets_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["keys_file", "key_file", "endpoint", "PATH", "retention_days", "allowed_headers", "compression",
     "passthrough", "monkey", "keyboard", "HOME", "TELEMETRY_CATALOG", "FOOTFALL_DSN", "PGPASSFILE"],
)  # fmt: skip
def test_other_names_are_none(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["headers", "x-team"], "a", MASK),
        (["headers", "key_file"], "a", MASK),
        (["http", "headers", "authorization"], "Bearer a", MASK),
        (["secrets", "first"], "a", MASK),
        (["tls", "key_file"], "/a", "/a"),
        (["api_key"], None, None),
        (["tokens"], ["a", "b"], [MASK, MASK]),
        (["endpoint"], "https://otel.example.org/v1/traces", "https://otel.example.org/v1/traces"),
        (["endpoint"], "https://me:pw@example.org/x", f"https://{MASK}@example.org/x"),
        (["endpoint"], "https://example.org/x?api=1&b=2#c", f"https://example.org/x?api={MASK}&b={MASK}#{MASK}"),
        (["endpoint"], "https://example.org/?only", f"https://example.org/?{MASK}"),
        (["endpoint"], "https://example.org/hooks/123456789012345678/aZ09-aZ09-aZ09-aZ09",
         f"https://example.org/hooks/{MASK}/{MASK}"),
        (["other"], "postgresql://me:pw@h/x", f"user=me password={MASK} dbname=x host=h"),
        (["dsn"], "no = 'connection", MASK),
    ],
)  # fmt: skip
def test_parts_of_values_are_hidden(path, value, expected):
    assert Masking({}).show(path, value) == expected


@given(st.text(min_size=8), st.text(), st.text())
def test_what_a_secret_variable_holds_is_hidden_inside_any_text(secret, before, after):
    masked = Masking({"MY_SECRET": secret}).show(["note"], f"{before}{secret}{after}")
    assert secret not in masked.replace(MASK, "\0")


# The command


def test_the_command_prints_a_configuration_that_says_the_same(write):
    path = write("exporters: {postgres: {retention_days: 10}}\nservice: {workers: 2}\n")
    result = CliRunner(env={"TELEMETRY_HASH_SALT": SALT}).invoke(
        main, ["config", "show", "-c", str(path)]
    )
    read = yaml.safe_load(result.stdout)
    assert read["exporters"]["postgres"]["retention_days"] == 10
    assert read["service"]["workers"] == 2
    assert read["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "127.0.0.1:4317"
    assert read["processors"]["footfall"]["hash_salt"] == MASK
    [line] = [line for line in result.stdout.splitlines() if "retention_days: 10" in line]
    assert line.endswith(f"# {path}:1")
    printed = json.loads(
        CliRunner().invoke(main, ["config", "show", "-c", str(path), "--json"]).stdout
    )
    assert {"key": "service.workers", "value": 2, "from": f"{path}:2"} in printed["values"]


def test_the_command_lists_mistakes(write):
    path = write("exporters: {postgres: {retention_days: 0}}")
    result = CliRunner().invoke(main, ["config", "show", "-c", str(path)])
    assert result.exit_code == 2
    assert f"{path}:1: exporters.postgres.retention_days: expected int >= 1" in result.stderr
    assert result.stdout == ""
