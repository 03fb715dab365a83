"""What `footfall validate` finds before `footfall up` would."""

import json
import os
import secrets

import pytest
from click.testing import CliRunner

from footfall_collector.cli import main
from support.certificates import Authority

CATALOG = """\
product: shop
events:
  shop.order: {surface: web, feature: order, owner: shop}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.startswith(("FOOTFALL_", "TELEMETRY_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    (tmp_path / "events.yaml").write_text(CATALOG)
    return tmp_path


def written(place, **sections):
    """A configuration, a section a line; JSON is YAML."""
    lines = [f"{name}: {json.dumps(value)}" for name, value in sections.items()]
    (place / "collector.yaml").write_text("\n".join(lines))
    return "collector.yaml"


def validate(*arguments):
    done = CliRunner().invoke(main, ["validate", *arguments])
    return done.exit_code, (done.stderr or done.stdout).splitlines()


def tls(**files):
    return {"cert_file": "s.pem", "key_file": "s.key"} | files


def test_one_event_is_one_event(place):
    assert validate("events.yaml") == (0, ["events.yaml: a valid catalog with 1 event"])
    assert validate(written(place, exporters={})) == (
        0,
        ["collector.yaml: a valid configuration with 1 event"],
    )


def test_every_file_that_is_missing_is_named_where_it_stands(place):
    protocols = {"grpc": {"tls": tls(client_ca_file="ca.pem")}}
    status, told = validate(
        written(
            place,
            receivers={"otlp": {"auth": {"keys_file": "keys.yaml"}, "protocols": protocols}},
            exporters={
                "postgres": {"spool": {"directory": "events.yaml/spool"}},
                "otlp": {"endpoint": "localhost:4317", "tls": {"ca_file": "x.pem"}},
            },
            service={
                "operator": {"keys_file": "operators.yaml", "tls": tls()},
                "pipelines": {"traces": {"exporters": ["postgres", "otlp"]}},
            },
        )
    )
    assert status == 2
    missing = "cannot be read: No such file or directory"
    path = "correct the path, or let this user read it"
    at = "collector.yaml:1: receivers.otlp"
    operator = "collector.yaml:3: service.operator"
    assert told == [
        f"{at}.auth.keys_file: keys.yaml {missing}; make it: footfall keys new NAME --file keys.yaml",
        f"{at}.protocols.grpc.tls.cert_file: s.pem {missing}; {path}",
        f"{at}.protocols.grpc.tls.key_file: s.key {missing}; {path}",
        f"{at}.protocols.grpc.tls.client_ca_file: ca.pem {missing}; {path}",
        f"collector.yaml:2: exporters.postgres.spool.directory: {place}/events.yaml is no directory;"
        " name another, or move the file away",
        "collector.yaml:2: exporters.otlp: tls: x.pem cannot be read: No such file or directory",
        f"{operator}.keys_file: operators.yaml {missing};"
        " make it: footfall keys new NAME --file operators.yaml",
        f"{operator}.tls.cert_file: s.pem {missing}; {path}",
        f"{operator}.tls.key_file: s.key {missing}; {path}",
        "9 mistakes; nothing was started",
    ]


def test_files_that_are_there_and_wrong_are_told_as_well(place):
    authority = Authority(place, "ca")
    authority.sign("s")
    authority.sign("other")
    (place / "keys.yaml").write_text("keys:\n  web: {hash: nonsense}\n")
    otlp = {
        "auth": {"keys_file": "keys.yaml"},
        "protocols": {"http": {"tls": tls(key_file="other.key")}, "grpc": {"tls": tls()}},
    }
    status, told = validate(written(place, receivers={"otlp": otlp}))
    assert status == 2
    assert [line.partition(": ")[0] for line in told[:-1]] == [
        "collector.yaml:1",
        "keys.yaml:2",
        "keys.yaml:2",
    ]
    assert "other.key is not the key of s.pem" in told[0]


@pytest.mark.parametrize(
    ("jwt", "content", "told"),
    [
        ({"jwks_file": "idp.json"}, None, "idp.json cannot be read: No such file or directory"),
        ({"jwks_file": "idp.json"}, '{"keys": []}', "idp.json has no key for RS256"),
        ({"public_key_file": "idp.json"}, "", "idp.json holds no public key that can be used"),
    ],
)
def test_keys_of_jwts_that_cannot_be_used_are_told(place, jwt, content, told):
    if content is not None:
        (place / "idp.json").write_text(content)
    api = {"http_api": {"identity": {"jwt": {"algorithms": ["RS256"]} | jwt}}}
    salt = {"footfall": {"hash_salt": secrets.token_hex(32)}}
    status, lines = validate(written(place, receivers=api, processors=salt))
    assert status == 2
    assert lines[0].startswith(f"collector.yaml:1: receivers.http_api.identity.jwt: {told}")


def test_nothing_is_made(place):
    spool = {"directory": "a/b/spool"}
    before = sorted(os.listdir(place))
    name = written(place, exporters={"postgres": {"spool": spool, "data_directory": "a/data"}})
    assert validate(name)[0] == 0
    assert sorted(os.listdir(place)) == sorted([*before, name])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_where_this_user_may_not_write_is_told(place):
    written(place, exporters={})
    place.chmod(0o555)
    try:
        status, told = validate("collector.yaml")
    finally:
        place.chmod(0o755)
    assert status == 2
    assert f"this user may not write to {place}" in told[0]


def test_the_shortest_retention_of_counts_is_told_with_its_reason(place):
    postgres = {"retention_days": 1, "rollup_retention_days": 7}
    status, told = validate(written(place, exporters={"postgres": postgres}))
    assert status == 2
    assert told == [
        "collector.yaml:1: exporters.postgres.rollup_retention_days: expected int >= 8: hours of the last 8"
        " days are still looked at",
        "1 mistake; nothing was started",
    ]
