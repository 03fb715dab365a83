"""The guides for web frameworks: their programs as they stand in the documents, served for real."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from support.ports import free_port

GUIDES = Path(__file__).parents[3] / "docs/guides"
SERVE = {
    "fastapi": "import uvicorn; uvicorn.run('app:app', port={port}, log_level='critical')",
    "flask": "from werkzeug.serving import run_simple; from app import app;"
    " run_simple('127.0.0.1', {port}, app)",
    "django": "from wsgiref.simple_server import make_server; from app import app;"
    " make_server('127.0.0.1', {port}, app).serve_forever()",
}


def blocks(name, language):
    text = (GUIDES / f"{name}.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("framework", SERVE)
def test_the_application_sends_what_the_guide_says(framework, tmp_path, received):
    (program,), (catalog,) = blocks(framework, "python"), blocks(framework, "yaml")
    assert len([line for line in program.splitlines() if line.strip()]) <= 20
    (tmp_path / "app.py").write_text(program)
    (tmp_path / "events.yaml").write_text(catalog)
    port = free_port()
    variables = {
        "TELEMETRY_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "50",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE[framework].format(port=port)],
        cwd=tmp_path,
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        transport = httpx.HTTPTransport(retries=0, verify=False)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, trust_env=False
        ) as http:
            patient(lambda: http.get("/nothing"))
            assert http.get("/seeds/7?token=hunter2").json() == {"seed": 7}
            answer = http.get("/seeds/0")
        assert answer.status_code == 403
        assert re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-0[01]", answer.headers["traceparent"])
        patient(lambda: two(received))
    finally:
        process.terminate()
        process.wait(10)
    assert two(received) == [("api.seed", "success", "ok"), ("api.seed", "failure", "denied")]
    assert b"hunter2" not in received.bytes
    if framework == "fastapi":
        assert {o.get("provider") for o in received.observations()} == {"smz3"}


def two(received):
    found = [
        (o["event"], o["feature.action"], o["feature.status"]) for o in received.observations()
    ]
    assert len(found) >= 2
    return found


def patient(attempt):
    deadline = time.monotonic() + 20
    while True:
        try:
            return attempt()
        except (httpx.TransportError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
