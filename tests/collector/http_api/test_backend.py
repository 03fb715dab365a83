"""A backend that knows its users posts for them, with a key that may name viewers."""

import pytest

from collector.keyed import ALL, NAMES

SHOWN = {"event": "suggestion_shown"}


@pytest.mark.requirement("B3")
def test_a_backend_posts_for_the_viewers_that_it_names(api):
    for viewer in ("walker-1", "walker-2", "walker-1"):
        answer = api.post(
            "/telemetry/ingest",
            SHOWN,
            viewer=None,
            authorization=f"Bearer {NAMES}",
            footfall_viewer=viewer,
        )
        assert answer.json() == {"ok": True}
    api.post("/telemetry/ingest", SHOWN, viewer="walker-1")  # the same one, by the proxy's word
    viewers = "SELECT count(*) FROM footfall.feature_events GROUP BY viewer_hash ORDER BY 1"
    assert api.query(viewers) == [(1,), (3,)]
    assert "walker" not in api.up.log.read_text()


@pytest.mark.requirement("B3")
def test_no_other_key_names_anybody(api):
    key = {"authorization": f"Bearer {ALL}"}
    answer = api.post("/telemetry/ingest", SHOWN, viewer=None, footfall_viewer="walker-1", **key)
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    nobody = api.post("/telemetry/ingest", SHOWN, viewer=None, footfall_viewer="walker-1")
    assert (nobody.status_code, nobody.json()["error"]) == (401, "no_viewer")
    assert api.counts() == {}
