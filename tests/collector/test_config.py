import os
import re
from pathlib import Path

import msgspec
import pytest

from conftest import CATALOG
from footfall_collector.config import environment as config_environment
from footfall_collector.config import schema
from footfall_collector.config.config import load_config, load_store
from footfall_exporters import registry
from footfall_exporters.embedded import default_directory
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import DocumentError, Hash

SALT = "a salt of thirty-two bytes or more"
SMALL = """
product: small
events:
  small.used: {surface: web, feature: small}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "events.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def write(folder):
    """Writes a configuration and returns its path."""

    def write(text):
        path = folder / "collector.yaml"
        path.write_text(text)
        return path

    return write


def mistakes(path, environment=None, read=load_config, **options):
    with pytest.raises(DocumentError) as error:
        read(path, environment or {}, **options)
    return {(m.line, m.path, m.message) for m in error.value.mistakes}


# What is read


def test_every_key_is_optional(write):
    loaded = load_config(write(""), {})
    assert (loaded.grpc.endpoint, loaded.http.endpoint) == ("127.0.0.1:4317", "127.0.0.1:4318")
    assert loaded.signals == ("traces", "metrics", "logs")
    assert loaded.static_salts == {}
    assert loaded.postgres == PostgresConfig(
        dsn=None, data_directory=None, retention_days=30, rollup_retention_days=400
    )
    assert loaded.catalog.products == ("small",)


def test_a_whole_configuration_is_read(write, folder):
    (folder / "more.yaml").write_text(SMALL.replace("small", "more"))
    loaded = load_config(
        write(f"""
            receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "[::1]:14317"}}, http: null}}}}}}
            processors: {{footfall: {{catalog: [events.yaml, more.yaml], hash_salt: {SALT}}}}}
            exporters:
              postgres:
                dsn: postgresql://someone@database/footfall
                data_directory: /srv/footfall
                retention_days: 8
                rollup_retention_days: 1000
            service:
              pipelines: {{traces: {{receivers: [otlp], processors: [footfall], exporters: [postgres]}}}}
        """),
        {},
    )
    assert loaded.grpc is not None
    assert (loaded.grpc.endpoint, loaded.http, loaded.signals) == ("[::1]:14317", None, ("traces",))
    assert loaded.static_salts == {(Hash.STATIC, 0): SALT.encode()}
    assert loaded.postgres == PostgresConfig(
        dsn="postgresql://someone@database/footfall",
        data_directory="/srv/footfall",
        retention_days=8,
        rollup_retention_days=1000,
    )
    assert loaded.catalog.products == ("small", "more")


def test_limits_and_origins_are_read(write):
    loaded = load_config(
        write("""
            receivers: {otlp: {protocols: {grpc: {max_recv_msg_size_mib: 4}, http: {
              max_request_body_size: 20480,
              cors: {allowed_origins: ["https://*.example.org"], allowed_headers: [x-key], max_age: 60}}}}}
        """),
        {},
    )
    assert (loaded.grpc.max_recv_msg_size_mib, loaded.http.max_request_body_size) == (4, 20480)
    assert loaded.http.cors == schema.CorsConfig(
        allowed_origins=("https://*.example.org",), allowed_headers=("x-key",), max_age=60
    )


def test_without_limits_64_mib_are_taken_32_over_grpc_and_no_page_may_send(write):
    loaded = load_config(write(""), {})
    assert loaded.grpc.max_recv_msg_size_mib == 16
    assert loaded.http.max_request_body_size == 64 * 2**20
    assert loaded.http.cors is None


def test_without_a_file_the_environment_and_the_defaults_count(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert load_config(None, {}).catalog.products == ("small",)
    loaded = load_config(
        None,
        {
            "TELEMETRY_CATALOG": str(CATALOG),
            "TELEMETRY_HASH_SALT": SALT,
            "TELEMETRY_RETENTION_DAYS": "9",
            "FOOTFALL_DSN": "host=/run/postgresql dbname=footfall",
        },
    )
    assert loaded.catalog.products == ("testbed",)
    assert list(loaded.static_salts.values()) == [SALT.encode()]
    assert loaded.postgres.retention_days == 9
    assert loaded.postgres.dsn == "host=/run/postgresql dbname=footfall"


def test_the_file_wins_over_the_environment(write):
    path = write("exporters: {postgres: {retention_days: 10}}")
    environment = {"TELEMETRY_RETENTION_DAYS": "20", "FOOTFALL_DSN": "dbname=from_environment"}
    loaded = load_config(path, environment)
    assert loaded.postgres.retention_days == 10
    assert loaded.postgres.dsn == "dbname=from_environment"


API = "receivers: {http_api: %s}"


@pytest.mark.parametrize(
    ("section", "variables", "enabled"),
    [
        ("{}", {}, False),
        ("{}", {"FEATURES_PSR": "true"}, True),
        ("{}", {"FEATURES_PSR": "false"}, False),
        ("{psr: {enabled: false}}", {"FEATURES_PSR": "true"}, False),
        ("{psr: {enabled: true}}", {"FEATURES_PSR": "false"}, True),
        ("{psr: {}}", {"FEATURES_PSR": "1"}, True),
        ("{}", {"FOOTFALL_DEV": "1"}, True),
        ("{}", {"FOOTFALL_DEV": "1", "FEATURES_PSR": "false"}, False),
        ("{psr: {enabled: false}}", {"FOOTFALL_DEV": "1"}, False),
    ],
)
def test_ratings_are_off_but_in_development_unless_somebody_says_otherwise(
    write, section, variables, enabled
):
    loaded = load_config(write(API % section), {"TELEMETRY_HASH_SALT": SALT, **variables})
    assert loaded.http_api.psr.enabled is enabled


def test_a_flag_for_ratings_turns_no_api_on(write):
    assert load_config(write(""), {"FEATURES_PSR": "true"}).http_api is None
    wrong = {"TELEMETRY_HASH_SALT": SALT, "FEATURES_PSR": "perhaps"}
    [(_, where, message)] = mistakes(write(API % "{}"), wrong)
    assert where == "receivers.http_api.psr.enabled"
    assert message.endswith("(set by FEATURES_PSR)")


def test_ratings_of_a_prompt_whose_hash_rotates_are_refused(write, folder):
    catalog = (
        "{product: small, attributes: {prompt_id: {type: string, hash: daily}},"
        " events: {small.ping: {surface: web, feature: ping, attributes: [prompt_id]}}}"
    )
    (folder / "rotates.yaml").write_text(catalog)
    rest = "\nprocessors: {footfall: {catalog: rotates.yaml}}"
    environment = {"TELEMETRY_HASH_SALT": SALT}
    [(_, where, message)] = mistakes(write(API % "{psr: {enabled: true}}" + rest), environment)
    assert where == "receivers.http_api.attributes.prompt"
    assert message.startswith("`prompt_id` rotates")
    assert load_config(write(API % "{}" + rest), environment).http_api is not None


def test_empty_variables_are_as_good_as_none(write):
    environment = dict.fromkeys(config_environment.ENVIRONMENT, "")
    assert load_config(write(""), environment) == load_config(write(""), {})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"${env:DSN}"', "dbname=a"),
        ('"host=b ${env:DSN} user=$${env:DSN}"', "host=b dbname=a user=${env:DSN}"),
        ('"${env:NOWHERE:-dbname=c}"', "dbname=c"),
        ('"${env:DSN:-dbname=c}"', "dbname=a"),
        ('"${env:NOWHERE:-}"', None),
        ('"password=a$b"', "password=a$b"),
    ],
)
def test_references_to_the_environment_are_expanded(write, written, expected):
    path = write(f"exporters: {{postgres: {{dsn: {written}}}}}")
    assert load_config(path, {"DSN": "dbname=a"}).postgres.dsn == expected


def test_a_number_may_come_from_the_environment(write):
    path = write('exporters: {postgres: {retention_days: "${env:DAYS}"}}')
    assert load_config(path, {"DAYS": "12"}).postgres.retention_days == 12


def test_the_catalog_is_looked_for_beside_the_configuration(write, folder, monkeypatch):
    path = write("")
    monkeypatch.chdir("/")
    assert load_config(path, {}).catalog.products == ("small",)


def test_the_catalogs_of_the_environment_are_found_from_here_and_joined_as_in_path(
    write, folder, monkeypatch
):
    path = write("")
    (folder / "here").mkdir()
    for name in ("one", "two"):
        (folder / "here" / f"{name}.yaml").write_text(SMALL.replace("small", name))
    monkeypatch.chdir(folder / "here")
    environment = {"TELEMETRY_CATALOG": os.pathsep.join(["one.yaml", "two.yaml"])}
    assert load_config(path, environment).catalog.products == ("one", "two")


def test_a_catalog_that_is_given_wins_and_is_found_from_here(write):
    loaded = load_config(write(""), {"TELEMETRY_HASH_SALT": SALT}, catalog=str(CATALOG))
    assert loaded.catalog.products == ("testbed",)


def test_commands_without_a_catalog_read_the_store_alone(write, folder):
    path = write(
        "exporters: {postgres: {dsn: dbname=a}}\nprocessors: {footfall: {catalog: nowhere.yaml}}"
    )
    assert load_store(path, {}).dsn == "dbname=a"
    assert load_store(None, {"FOOTFALL_DSN": "dbname=b"}).dsn == "dbname=b"
    assert mistakes(write("exporters: {postgres: {dns: dbname=a}}"), read=load_store)


def test_the_embedded_server_has_a_place_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "postgres"


# What is refused


def test_every_mistake_is_listed_with_its_line_and_path(write):
    path = write("""\
receivers:
  otlp:
    protocols:
      grpc: {endpoint: 4317}
      http: {endpoint: "localhost:70000"}
    http: 1
processors:
  footfal: {}
exporters:
  postgres:
    retention_days: 0
    rollup_retention_days: many
service:
  pipelines: {traces: {exporters: [clickhouse]}}
""")
    found = mistakes(path)
    assert {(line, where) for line, where, _ in found} == {
        (4, "receivers.otlp.protocols.grpc.endpoint"),
        (6, "receivers.otlp.http"),
        (8, "processors.footfal"),
        (11, "exporters.postgres.retention_days"),
        (12, "exporters.postgres.rollup_retention_days"),
    }
    by_path = {where: message for _, where, message in found}
    assert 'did you mean "footfall"?' in by_path["processors.footfal"]
    assert ">= 1" in by_path["exporters.postgres.retention_days"]


def test_mistakes_that_the_types_do_not_show_are_listed_too(write):
    path = write("""\
receivers: {otlp: {protocols: {http: {endpoint: "localhost:70000"}}}}
processors: {footfall: {hash_salt: short}}
exporters: {postgres: {dsn: "a password = walker's"}}
service:
  pipelines:
    traces: {exporters: [clickhouse], receivers: [otlp, zipkin]}
    profiles: {exporters: [clickhouse]}
""")
    assert mistakes(path) == {
        (1, "receivers.otlp.protocols.http.endpoint", "the port must be at most 65535"),
        (2, "processors.footfall.hash_salt", "TELEMETRY_HASH_SALT must be at least 32 bytes; make one with"
            " `openssl rand -hex 32`."),
        (3, "exporters.postgres.dsn", "is not a libpq connection string, such as"
            " postgresql://user@host/database"),
        (3, "exporters.clickhouse", "is no kind of exporter (known: KINDS); name one as kind or"
            " kind/name".replace("KINDS", ", ".join(["postgres", *registry.kinds()]))),
        (6, "service.pipelines.traces.receivers", "must be [otlp]"),
        (7, "service.pipelines.profiles", "is not a signal that is taken (known: traces, metrics, logs)"),
    }  # fmt: skip


def test_the_catalogs_mistakes_are_listed_with_those_of_the_configuration(write, folder):
    (folder / "events.yaml").write_text("product: small\nevents: {small.used: {surface: web}}\n")
    for text in (
        "exporters: {postgres: {retention_days: 0}}",
        "processors: {footfall: {hash_salt: short}}",
    ):
        with pytest.raises(DocumentError) as error:
            load_config(write(text), {})
        files = sorted(Path(m.file).name for m in error.value.mistakes)
        assert files == ["collector.yaml", "events.yaml"]


def test_a_collector_without_a_catalog_does_not_start(write, folder):
    assert mistakes(write("processors: {footfall: {catalog: []}}")) == {
        (1, "processors.footfall.catalog", "must name at least one file")
    }
    (folder / "events.yaml").unlink()
    assert mistakes(write("")) == {
        (1, "", "cannot be read: No such file or directory; `footfall init` writes one")
    }


def test_a_collector_that_listens_nowhere_does_not_start(write):
    path = write("receivers: {otlp: {protocols: {grpc: null, http: null}}}")
    assert mistakes(path) == {(1, "receivers.otlp.protocols", "leave at least one protocol on")}


def test_a_static_hash_needs_a_salt(write):
    path = write("exporters: {postgres: {retention_days: 10}}")
    assert mistakes(path, catalog=str(CATALOG)) == {
        (
            1,
            "processors.footfall.hash_salt",
            "the catalog has `hash: static`: set TELEMETRY_HASH_SALT",
        )
    }


def test_the_page_of_what_is_published_needs_that_and_a_path_of_its_own(write):
    some = "exporters: {postgres: {published: {products: [small]}}}\n"
    loaded = load_config(write(f"{some}service: {{public: {{}}}}"), {})
    assert (loaded.service.public.path, loaded.service.public.requests_per_minute) == (
        "/public",
        120,
    )
    assert load_config(write(some), {}).service.public is None
    [(_, where, said)] = mistakes(write("service: {public: {}}"))
    assert (where, "`exporters.postgres.published`" in said) == ("service.public", True)
    gateway = (
        "exporters: {jsonl: {}, postgres: {published: {products: [small]}}}\n"
        "service: {public: {}, pipelines: {traces: {exporters: [jsonl]}}}"
    )
    assert ("service.public", True) in {
        (where, "nothing is" in said) for _, where, said in mistakes(write(gateway))
    }
    off = "receivers: {otlp: {protocols: {http: null}}}\nservice: {public: {}}\n"
    [(_, where, said)] = mistakes(write(some + off))
    assert (where, "must not be null" in said) == ("service.public", True)
    for path in ("/v1", "/v1/figures"):
        [(_, where, said)] = mistakes(write(f"{some}service: {{public: {{path: {path}}}}}"))
        assert (where, "below /v1" in said) == ("service.public.path", True)
    api = f"{some}receivers: {{http_api: {{}}}}\nservice: {{public: {{path: /telemetry/public}}}}"
    assert ("service.public.path", "is below /telemetry, which takes what is sent") in {
        (where, said) for _, where, said in mistakes(write(api), {"TELEMETRY_HASH_SALT": SALT})
    }
    for path in ("public", "/", "/a/", "/a b", "/a/../b", "/\u00e9"):
        [(_, where, _)] = mistakes(write(f'{some}service: {{public: {{path: "{path}"}}}}'))
        assert where == "service.public.path"


def test_what_is_to_be_published_is_a_product_of_a_catalog_and_of_more_than_one(write):
    loaded = load_config(write("exporters: {postgres: {published: {products: [small]}}}"), {})
    assert (loaded.postgres.published.products, loaded.postgres.published.k) == (("small",), 5)
    path = write("exporters:\n  postgres:\n    published:\n      products: [small, smal]\n")
    [(line, where, said)] = mistakes(path)
    assert (line, where) == (4, "exporters.postgres.published.products.1")
    assert said == "no catalog has this product; there are: small"
    [(_, where, said)] = mistakes(write("exporters: {postgres: {published: {k: 1}}}"))
    assert where == "exporters.postgres.published.k"
    assert ">= 2" in said


def test_a_missing_variable_is_named_with_what_to_do(write):
    path = write('\nexporters: {postgres: {dsn: "${env:MY_DSN}"}}')
    [(line, where, message)] = mistakes(path)
    assert (line, where) == (2, "exporters.postgres.dsn")
    assert "MY_DSN is not set" in message
    assert "${env:MY_DSN:-default}" in message


def test_a_wrong_variable_is_named(write):
    [(_, where, message)] = mistakes(write(""), {"TELEMETRY_RETENTION_DAYS": "0"})
    assert where == "exporters.postgres.retention_days"
    assert message.endswith("(set by TELEMETRY_RETENTION_DAYS)")


@pytest.mark.parametrize("text", ["- a list", "just text", "a: [", "\x00"])
def test_what_is_no_mapping_is_refused(write, text):
    [(_, _, message)] = mistakes(write(text))
    assert "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert mistakes(tmp_path / "nowhere.yaml") == {
        (1, "", "cannot be read: No such file or directory")
    }


@pytest.mark.parametrize(
    "text", ["exporters: {postgres: {dsn: [walker]}}", "processors: {footfall: walker}"]
)
def test_mistakes_do_not_echo_values(write, text):
    assert all("walker" not in message for _, _, message in mistakes(write(text)))


# What is documented

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def keys_of(shape, prefix=""):
    """Every key of a configuration file, as the document names it."""
    for each in msgspec.structs.fields(shape):
        path = f"{prefix}{each.encode_name}"
        inner = next(
            (a for a in getattr(each.type, "__args__", (each.type,))
             if isinstance(a, type) and issubclass(a, msgspec.Struct)),
            None,
        )  # fmt: skip
        if inner is not None and inner is not schema.PipelineConfig:
            yield from keys_of(inner, f"{path}.")
        else:
            yield path


KEYS = [*keys_of(schema.File), *keys_of(PostgresConfig, "exporters.postgres.")]
KEYS.remove("exporters")  # of any kind: docs/subscribers.md


def test_there_are_keys_to_document():
    assert {
        "receivers.otlp.protocols.grpc.endpoint",
        "exporters.postgres.dsn",
        "service.pipelines",
    } <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented(key):
    assert f"`{key}`" in DOCUMENT


def test_every_documented_key_exists():
    documented = set(re.findall(r"^\| `([a-z_]+\.[a-z_.]+)`", DOCUMENT, re.MULTILINE))
    assert documented == set(KEYS)


def variables_read():
    """Every variable of Footfall's own that the code speaks of."""
    root = Path(__file__).parents[2]
    rooms = ("processors", "instrumentation", "exporters", "collector")
    text = "".join(
        p.read_text(encoding="utf-8") for room in rooms for p in (root / room).rglob("*.py")
    )
    return set(re.findall(r"\b(?:TELEMETRY|FOOTFALL|OTEL)_[A-Z_]*[A-Z]\b", text))


@pytest.mark.parametrize("variable", sorted(variables_read() | set(config_environment.ENVIRONMENT)))
def test_every_variable_is_documented(variable):
    assert f"`{variable}`" in DOCUMENT


def defaults():
    postgres = PostgresConfig()
    return {
        "receivers.otlp.protocols.grpc.endpoint": schema.GrpcConfig().endpoint,
        "receivers.otlp.protocols.http.endpoint": schema.HttpConfig().endpoint,
        "processors.footfall.catalog": schema.FootfallConfig().catalog,
        "receivers.otlp.protocols.grpc.max_recv_msg_size_mib": schema.GrpcConfig().max_recv_msg_size_mib,
        "receivers.otlp.protocols.http.max_request_body_size": schema.HttpConfig().max_request_body_size,
        "receivers.otlp.protocols.http.cors.max_age": schema.CorsConfig(allowed_origins=()).max_age,
        "exporters.postgres.retention_days": postgres.retention_days,
        "exporters.postgres.rollup_retention_days": postgres.rollup_retention_days,
    }


@pytest.mark.parametrize("key", defaults())
def test_the_documented_default_is_the_default(key):
    [row] = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{key}`")]
    assert f"| `{defaults()[key]}` |" in row


# TELEMETRY_SINK and exporters beside the store


@pytest.mark.requirement("D9")
def test_a_list_of_sinks_says_where_everything_goes(write):
    loaded = load_config(write(""), {"TELEMETRY_SINK": "db, logs"})
    assert loaded.postgres is not None
    assert list(loaded.subscribers) == ["logs"]


@pytest.mark.requirement("D9")
def test_without_the_database_among_the_sinks_nothing_is_stored(write):
    environment = {"TELEMETRY_SINK": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://next:4317"}
    loaded = load_config(write(""), environment)
    assert loaded.postgres is None
    assert loaded.subscribers["otlp"].endpoint == "http://next:4317"


@pytest.mark.requirement("D9")
def test_the_pipelines_of_the_file_win_over_the_sinks(write):
    text = "service: {pipelines: {traces: {exporters: [postgres]}}}"
    loaded = load_config(write(text), {"TELEMETRY_SINK": "logs"})
    assert (loaded.signals, dict(loaded.subscribers)) == (("traces",), {})


@pytest.mark.requirement("D9")
def test_a_sink_that_is_none_and_one_without_an_endpoint_are_mistakes(write):
    [(_, where, message)] = mistakes(write(""), {"TELEMETRY_SINK": "db,log"})
    assert where == "service.pipelines"
    assert 'did you mean "logs"?' in message
    [(_, where, _)] = mistakes(write(""), {"TELEMETRY_SINK": "db,otlp"})
    assert where == "exporters.otlp.endpoint"


EVERY_KIND = """
    exporters:
      posthog: {api_key: phc_1}
      segment/eu: {write_key: k}
      ga4: {measurement_id: G-1ABC, api_secret: s, endpoint: "https://www.google-analytics.com/mp/collect"}
      otlp: {endpoint: "http://next:4317"}
    service:
      pipelines:
        traces: {exporters: [postgres, posthog, segment/eu, ga4, otlp, logs]}
        logs: {exporters: [postgres, posthog, segment/eu, ga4, otlp, logs]}
"""


@pytest.mark.requirement("D9")
@pytest.mark.parametrize("said", ["false", "FALSE", "0", "off"])
def test_one_variable_switches_analytics_backends_off_whatever_the_file_says(write, said):
    every = load_config(write(EVERY_KIND), {"TELEMETRY_ANALYTICS_ENABLED": ""})
    assert list(every.subscribers) == ["posthog", "segment/eu", "ga4", "otlp", "logs"]
    for on in ("true", "1"):
        assert load_config(write(EVERY_KIND), {"TELEMETRY_ANALYTICS_ENABLED": on}) == every
    some = load_config(write(EVERY_KIND), {"TELEMETRY_ANALYTICS_ENABLED": said})
    assert some.postgres == every.postgres
    assert list(some.subscribers) == ["otlp", "logs"]
    assert some.signals == ("traces", "logs")


@pytest.mark.requirement("D9")
def test_a_collector_that_would_have_nothing_left_says_so(write):
    text = "{exporters: {posthog: {api_key: phc_1}}, service: {pipelines: {logs: {exporters: [posthog]}}}}"
    [(_, where, message)] = mistakes(write(text), {"TELEMETRY_ANALYTICS_ENABLED": "false"})
    assert where == "service.pipelines.logs.exporters"
    assert message == "must name at least one (set by TELEMETRY_ANALYTICS_ENABLED)"
    [(_, _, message)] = mistakes(write(""), {"TELEMETRY_ANALYTICS_ENABLED": "maybe"})
    assert message == "TELEMETRY_ANALYTICS_ENABLED must be true or false"


def test_files_named_in_a_configuration_are_seen_from_its_folder(write, folder):
    loaded = load_config(
        write("""
            receivers:
              otlp:
                auth: {keys_file: keys.yaml}
                protocols: {grpc: {tls: {cert_file: a.pem, key_file: /etc/b.key}}, http: null}
            exporters: {postgres: {spool: {directory: spool}}, logs: {path: out.jsonl}}
            service: {operator: {keys_file: keys.yaml}, pipelines: {logs: {exporters: [postgres, logs]}}}
        """),
        {},
    )
    assert loaded.keys_file == loaded.service.operator.keys_file == str(folder / "keys.yaml")
    assert loaded.grpc.tls.cert_file == str(folder / "a.pem")
    assert loaded.grpc.tls.key_file == "/etc/b.key"
    assert loaded.postgres.spool.directory == str(folder / "spool")
    assert loaded.subscribers["logs"].path == str(folder / "out.jsonl")


def test_the_operators_listener_needs_keys_where_others_can_reach_it(write):
    for host in ("0.0.0.0", "[::]", "db.example.org"):
        path = write(f"service: {{operator: {{endpoint: '{host}:8888'}}}}")
        [(_, where, message)] = mistakes(path)
        assert where == "service.operator.endpoint"
        assert "keys_file" in message
    for host in ("127.0.0.9", "[::1]", "localhost"):
        assert load_config(write(f"service: {{operator: {{endpoint: '{host}:8888'}}}}"), {})


def test_all_pipelines_have_the_same_exporters(write):
    path = write("service: {pipelines: {traces: {}, logs: {exporters: [postgres, logs]}}}")
    assert mistakes(path) == {
        (1, "service.pipelines.logs.exporters", "must be those of all pipelines")
    }


# Readers over TCP


@pytest.mark.parametrize(
    ("readers", "more", "said"),
    [
        ("{endpoint: 127.0.0.1:5433}", "", "password"),
        ("{endpoint: 127.0.0.1:5433, password: short}", "", "12"),
        ("{endpoint: 127.0.0.1:0, password: of twelve characters}", "", "endpoint"),
        ("{endpoint: 127.0.0.1:65536, password: of twelve characters}", "", "at most 65535"),
        (
            "{endpoint: 127.0.0.1:5433, password: of twelve characters}",
            "dsn: host=db, ",
            "`dsn` names another",
        ),
    ],
)
def test_readers_are_of_the_embedded_server_and_have_a_password(write, readers, more, said):
    [mistake] = mistakes(write(f"exporters: {{postgres: {{{more}readers: {readers}}}}}"))
    assert said in str(mistake)
    assert "twelve" not in str(mistake)
