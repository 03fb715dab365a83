"""docker/traffic.py: what it says that it did is what a collector has stored, of whatever catalog."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from support.installed import ROOT
from support.up import Up

CATALOGS = {
    "sahasrahbot": ROOT / "examples/footfall_examples/sahasrahbot/events.yaml",
    "shop": ROOT / "tests/grafana/shop.yaml",
}
USES = 120


@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=CATALOGS)
async def test_what_it_did_is_what_is_stored(
    catalog: Path, empty_database: str, tmp_path: Path
) -> None:
    config = tmp_path / "collector.yaml"
    config.write_text(
        json.dumps({
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": "127.0.0.1:0"}, "http": {"endpoint": "127.0.0.1:0"}}}},
            "processors": {"footfall": {"catalog": str(catalog)}},
            "exporters": {"postgres": {"dsn": empty_database}},
            "service": {"operator": {"endpoint": "127.0.0.1:0"}},
        })
    )  # fmt: skip
    running = Up(config)
    try:
        address = await running.address("OTLP/gRPC")
        settings = {"TELEMETRY_ENABLED": "true", "FOOTFALL_ENDPOINT": f"http://{address}"}
        done = subprocess.run(  # noqa: ASYNC221  # there is nobody else here
            [sys.executable, ROOT / "docker/traffic.py", catalog, "--uses", str(USES)],
            env={**os.environ, **settings}, capture_output=True, text=True,
        )  # fmt: skip
    finally:
        running.stop()
    assert done.returncode == 0, done.stderr
    said = {tuple(key): count for *key, count in json.loads(done.stdout)}
    assert sum(said.values()) == USES
    with psycopg.connect(empty_database) as owner:
        rows = owner.execute(
            "SELECT event, service_version, action, sum(count)::integer FROM reporting.usage"
            " WHERE action NOT IN ('invoke', 'start') AND environment = 'production' GROUP BY 1, 2, 3"
        ).fetchall()
        lost = owner.execute("SELECT coalesce(sum(count), 0) FROM reporting.losses").fetchone()
    assert {row[:3]: row[3] for row in rows} == said
    assert lost == (0,)
    assert {version for _, version, _ in said} == {"1.0", "1.1"}


def test_the_stack_runs_it_in_the_image_of_the_collector() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    service = re.search(r"(?ms)^  traffic:\n(.*?)^  \w", compose)
    assert service is not None
    assert "profiles: [demo]" in service[1]
    assert "./docker/traffic.py:/etc/footfall/traffic.py:ro" in service[1]
    assert "entrypoint: [python, /etc/footfall/traffic.py]" in service[1]
