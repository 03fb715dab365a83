"""deploy/kubernetes: right by Kubernetes' schema, allowed no more than it needs, and it runs."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psycopg
import pytest
import yaml

from support.installed import ROOT
from support.ports import free_port
from support.up import Up
from support.waiting import until

FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMA = json.loads(Path(__file__).with_name("kubernetes-1.34.json").read_text())
GRAFANA = FOLDER / "grafana"
PROVISIONING = ROOT / "grafana" / "provisioning"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OPTIONAL = re.findall(r"(?m)^#  - (\S+\.yaml)", (FOLDER / "kustomization.yaml").read_text())


def written(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    return [d for name in names for d in yaml.safe_load_all((folder / name).read_text())]


WRITTEN = written(FOLDER, [*KUSTOMIZATION["resources"], *OPTIONAL])
BESIDE = written(GRAFANA, yaml.safe_load((GRAFANA / "kustomization.yaml").read_text())["resources"])
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


def named(kind: str, name: str, documents: list[dict[str, Any]] = WRITTEN) -> dict[str, Any]:
    (found,) = [d for d in documents if (d["kind"], d["metadata"]["name"]) == (kind, name)]
    return found


def pods(documents: list[dict[str, Any]] = WRITTEN) -> dict[str, dict[str, Any]]:
    """The pods by the name of what makes them."""
    made = [d for d in documents if "template" in d.get("spec", {})]
    return {d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in made}


def mistakes(document: dict[str, Any]) -> list[str]:
    """What is wrong with a resource, by the schema of its kind."""
    of_kind = {"$ref": f"#/definitions/{SCHEMA['kinds'][document['kind']]}"}
    validator = jsonschema.Draft7Validator({**of_kind, "definitions": SCHEMA["definitions"]})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def footfall(*arguments: object) -> str:
    """The command's standard output."""
    command = [Path(sys.executable).with_name("footfall"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, filled in as its README says."""
    folder = tmp_path_factory.mktemp("deploy") / "kubernetes"
    shutil.copytree(FOLDER, folder)
    shutil.copy(folder / "secrets.env.example", folder / "secrets.env")
    (folder / "keys.yaml").write_text("keys: {}\n")
    return folder


@pytest.mark.parametrize(
    "document", WRITTEN + BESIDE, ids=lambda d: f"{d['kind']}-{d['metadata']['name']}"
)
def test_every_resource_is_one_by_the_schema_of_its_kind(document: dict[str, Any]) -> None:
    assert mistakes(document) == []
    assert mistakes({**document, "specs": {}})


def test_a_misspelt_field_deep_inside_is_noticed() -> None:
    pod = json.loads(json.dumps(named("Deployment", "footfall-collector")))
    pod["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert any("readynessProbe" in mistake for mistake in mistakes(pod))


@needs_kubectl
def test_kustomize_puts_it_together(filled: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", filled], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    assert [mistake for document in documents for mistake in mistakes(document)] == []
    names = {(d["kind"], d["metadata"]["name"]) for d in documents}
    generated = [re.sub(r"-[a-z0-9]{10}$", "", name) for _, name in names]
    assert {"footfall-config", "footfall-secrets", "footfall-keys"} <= set(generated)
    assert {d["metadata"].get("namespace") for d in documents} == {None, "footfall"}
    for pod in pods(documents).values():
        referred = [v.get("configMap", {}).get("name") for v in pod["volumes"]]
        referred += [v.get("secret", {}).get("secretName") for v in pod["volumes"]]
        referred += [e["secretRef"]["name"] for c in pod["containers"] for e in c["envFrom"]]
        assert set(filter(None, referred)) <= {name for _, name in names}
        assert pod["containers"][0]["image"] == "registry.example.org/footfall-collector:0.1.0"
    (labels,) = [d["spec"]["selector"] for d in documents if d["kind"] == "Service"]
    template = named("Deployment", "footfall-collector", documents)["spec"]["template"]
    assert labels.items() <= template["metadata"]["labels"].items()


@needs_kubectl
def test_kustomize_refuses_what_is_not_filled_in(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "kubernetes")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode != 0
    assert "secrets.env" in done.stderr or "keys.yaml" in done.stderr


@needs_kubectl
def test_grafana_has_the_dashboards_and_alert_rules_of_the_compose_file(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GRAFANA, tmp_path / "grafana"))
    shutil.copytree(PROVISIONING, folder / "provisioning")
    shutil.copy(folder / "secrets.env.example", folder / "secrets.env")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    assert [mistake for document in documents for mistake in mistakes(document)] == []
    assert {d["metadata"]["namespace"] for d in documents} == {"footfall"}
    maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
    (pod,) = pods(documents).values()
    volumes = {v["name"]: v.get("configMap", {}).get("name") for v in pod["volumes"]}
    shown = {
        f"{mount['mountPath']}/{name}": text
        for mount in pod["containers"][0]["volumeMounts"]
        for name, text in maps.get(volumes[mount["name"]], {}).items()
    }
    files = [file for file in PROVISIONING.rglob("*") if file.is_file()]
    assert shown == {
        f"/etc/grafana/provisioning/{file.relative_to(PROVISIONING)}": file.read_text()
        for file in files
    }
    assert all(len(json.dumps(data)) < 1_000_000 for data in maps.values())  # of a ConfigMap
    assert (folder / ".gitignore").read_text().split() == ["secrets.env", "provisioning/"]


def test_grafana_is_set_as_in_the_compose_file() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    (container,) = pods(BESIDE)["grafana"]["containers"]
    assert compose["image"] == f"${{GRAFANA_IMAGE:-{container['image']}}}"
    secret = (GRAFANA / "secrets.env.example").read_text()
    names = re.findall(r"(?m)^(\w+)=", secret)
    set_here = {each["name"]: each["value"] for each in container["env"]}
    assert set_here.keys() | {*names} == compose["environment"].keys()
    same = {n: v for n, v in compose["environment"].items() if n[:3] == "GF_" and n not in names}
    assert {name: set_here[name] for name in same} == same
    limit = container["resources"]["limits"]["memory"]
    assert limit.replace("Mi", "m") == compose["mem_limit"]


@needs_kubectl
def test_who_is_told_of_alerts_is_three_lines(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands behind a #, taken away."""
    filled = Path(shutil.copytree(filled, tmp_path / "kubernetes"))
    for name in ("collector.yaml", "secrets.env", "kustomization.yaml"):
        text = (filled / name).read_text()
        uncommented = re.sub(r"(?m)^#(alerts:|ALERTS_TEAM=|  - network)", r"\1", text)
        assert uncommented.count("\n") == text.count("\n")
        assert uncommented != text
        (filled / name).write_text(uncommented)
    done = subprocess.run(["kubectl", "kustomize", filled], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    assert [mistake for document in documents for mistake in mistakes(document)] == []
    (rule,) = named("NetworkPolicy", "footfall-alerts", documents)["spec"]["egress"]
    assert {port["port"] for port in rule["ports"]} == {443, 465, 587}
    monkeypatch.setenv("ALERTS_TEAM", "mailtos://user:password@example.org?to=team@example.org")
    monkeypatch.setenv("FOOTFALL_DSN", "dbname=none")
    monkeypatch.setenv("TELEMETRY_HASH_SALT", "")
    said = footfall("alerts", "test", "--dry-run", "--config", filled / "collector.yaml")
    assert said.startswith("to team: E-Mail (mailtos://********)")


@pytest.mark.parametrize(
    "pod", [*pods().values(), *pods(BESIDE).values()], ids=[*pods(), *pods(BESIDE)]
)
def test_every_pod_keeps_to_the_restricted_standard_and_more(pod: dict[str, Any]) -> None:
    # kubernetes.io/docs/concepts/security/pod-security-standards, "Restricted"
    labels = named("Namespace", "footfall")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    user = re.search(r"(?m)^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text())
    assert user is not None
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    own = pod["containers"][0]["image"] == "footfall-collector"
    assert context["runAsUser"] == (int(user[1]) if own else 472)  # Grafana's image has that one
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert {next(iter(v.keys() - {"name"})) for v in pod["volumes"]} <= {
        "configMap",
        "secret",
        "emptyDir",
    }
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"].keys() == {"memory"}
        assert not any("hostPort" in port for port in container.get("ports", ()))


def test_nobody_reaches_a_pod_but_who_is_named() -> None:
    nothing = named("NetworkPolicy", "footfall-nothing")["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    senders, prometheus = named("NetworkPolicy", "footfall-collector")["spec"]["ingress"]
    assert [port["port"] for port in senders["ports"]] == [4317, 4318]
    assert [port["port"] for port in prometheus["ports"]] == [8888]
    assert all(rule["from"] for rule in (senders, prometheus))
    out = named("NetworkPolicy", "footfall-database")["spec"]["egress"]
    assert {port["port"] for rule in out for port in rule["ports"]} == {53, 5432}


def test_ports_probes_and_secrets_agree_with_the_configuration() -> None:
    collector = yaml.safe_load((FOLDER / "collector.yaml").read_text())
    (container,) = pods()["footfall-collector"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    protocols = collector["receivers"]["otlp"]["protocols"]
    endpoints = {name: protocols[name]["endpoint"] for name in ("grpc", "http")}
    endpoints["operator"] = collector["service"]["operator"]["endpoint"]
    assert {name: f"0.0.0.0:{port}" for name, port in ports.items()} == endpoints
    service = {p["name"]: p["port"] for p in named("Service", "footfall")["spec"]["ports"]}
    assert service == ports
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {p["port"] for p in probes.values()} == {"operator"}
    assert probes["readinessProbe"]["path"] == "/readyz"
    assert probes["livenessProbe"]["path"] == probes["startupProbe"]["path"] == "/healthz"
    example = (FOLDER / "secrets.env.example").read_text()
    asked = set(re.findall(r"\$\{env:(\w+)\}", (FOLDER / "collector.yaml").read_text()))
    assert set(re.findall(r"(?m)^#?(\w+)=", example)) == asked
    assert (FOLDER / ".gitignore").read_text().split() == ["secrets.env", "keys.yaml"]
    mounts = {m["mountPath"] for m in container["volumeMounts"]}
    keys = collector["receivers"]["otlp"]["auth"]["keys_file"]
    assert keys == collector["service"]["operator"]["keys_file"]
    assert {str(Path(keys).parent), "/etc/footfall", "/tmp"} == mounts
    limit = collector["receivers"]["otlp"]["admission"]["request_limit_mib"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert 100 + 6 * limit <= 1024


async def test_the_job_migrates_and_the_deployment_serves(
    filled: Path, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = filled / "collector.yaml"
    text = configuration.read_text()
    for port in ("4317", "4318", "8888"):
        text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{free_port()}")
    text = text.replace("/etc/footfall-keys", str(filled)).replace("/etc/footfall", str(filled))
    configuration.write_text(text)
    operator = re.search(r"operator: \{endpoint: ([\d.:]+)", text)
    assert operator is not None
    for name, value in {"FOOTFALL_DSN": empty_database, "TELEMETRY_HASH_SALT": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))

    command = pods()["footfall-migration"]["containers"][0]["args"]
    arguments = [part.replace("/etc/footfall", str(filled)) for part in command]
    footfall(*arguments)
    key = footfall("keys", "new", "prometheus", "--operator", "--file", filled / "keys.yaml")
    with psycopg.connect(empty_database) as owner:
        (schema,) = owner.execute("SELECT to_regclass('footfall.feature_counts')").fetchone() or ()
    assert schema is not None

    name, *options = pods()["footfall-collector"]["containers"][0]["args"]
    assert (name, options) == ("up", ["--config", "/etc/footfall/collector.yaml"])
    running = Up(configuration)
    try:
        async with httpx.AsyncClient(base_url=f"http://{operator[1]}", verify=False) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(ready)
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/metrics")).status_code == 401
            browser = {"accept": "text/html", "host": "localhost:8888"}  # kubectl port-forward
            page = await client.get("/", headers=browser)
            assert (page.status_code, page.headers["location"][:6]) == (303, "/login")
            probed = await client.get("/readyz", headers={"host": "10.1.2.3:8888"})
            assert probed.status_code == 200
            shown = {"authorization": f"Bearer {key}"}
            assert (await client.get("/metrics", headers=shown)).status_code == 200
        began = time.monotonic()
    finally:
        running.stop()
    grace = pods()["footfall-collector"]["terminationGracePeriodSeconds"]
    assert time.monotonic() - began < grace
