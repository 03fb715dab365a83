"""What the guides of four products say goes over the wire, sent to a collector with that catalog."""

import datetime as dt
import json
import re

import pytest

from collector.http_api.conftest import collector
from conftest import new_database
from support.documents import ROOT

GUIDES = ("viewer-counts", "dashboard-events", "prompt-ratings", "plugin-http")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(guide, kind):
    text = (ROOT / f"docs/guides/{guide}.md").read_text()
    return [content for name, content in FENCE.findall(text) if name == kind]


def requests(guide):
    """(method, path, body, answer) of each exchange."""
    for content in fences(guide, "http"):
        sent, _, answer = content.partition("=> ")
        line, _, body = sent.partition("\n")
        now = dt.datetime.now(dt.UTC).isoformat()
        yield (*line.split(), body.strip().replace("NOW", now), json.loads(answer))


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_sends_is_answered_as_it_says(guide, postgres_server, tmp_path):
    catalog = tmp_path / "events.yaml"
    catalog.write_text(fences(guide, "yaml")[0])
    with new_database(postgres_server) as dsn:
        api = collector(
            tmp_path, dsn, catalog=catalog, psr={"enabled": True}, prefixes=["/telemetry"]
        )
        try:
            answers, told = [], {"x-viewer": "walker-1"}
            for method, path, body, expected in requests(guide):
                said = {"content-type": "application/json"} if body else {}
                answer = api.http.request(method, path, content=body, headers=told | said).json()
                answers.append(({name: answer[name] for name in expected}, expected))
                if "session_token" in answer:
                    told = {"authorization": f"Bearer {answer['session_token']}"}
        finally:
            api.http.close()
            api.up.stop()
    assert len(answers) >= 2
    for answer, expected in answers:
        assert answer == expected
