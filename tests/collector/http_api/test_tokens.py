"""JWTs before the real API: whose requests they are, and what each route wants to know of them."""

import time

import pytest

from collector.http_api.conftest import collector
from collector.signers import jwk, jwks, rsa_key, token
from conftest import new_database

KEY, OTHER = rsa_key("first"), rsa_key("second")


@pytest.fixture(scope="module")
def known(postgres_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "idp.json").write_bytes(jwks(jwk(KEY)))
    jwt = {
        "algorithms": ["RS256"],
        "jwks_file": str(folder / "idp.json"),
        "audience": "shop",
        "claims": {"owner": "own"},
    }
    with new_database(postgres_server) as dsn:
        api = collector(folder, dsn, identity={"jwt": jwt})
        yield api
        api.http.close()
        api.up.stop()


def send(api, path="/telemetry/ingest", key=KEY, **said):
    bearer = f"Bearer {token(key=key, **({'aud': 'shop', 'own': 'o-1'} | said))}"
    prompt = {"event": "prompt_copied", "ts": time.time() * 1000}
    body = {"event": "suggestion_shown"} if path.endswith("ingest") else {"events": [prompt]}
    return api.post(path, body, viewer=None, authorization=bearer)


@pytest.mark.requirement("B1")
def test_a_session_of_an_owner_is_nobody_whose_counts_these_are(known):
    assert send(known).status_code == 200
    counted = known.counts()
    nameless = send(known, without=["sub"])
    assert (nameless.status_code, nameless.json()) == (401, {"ok": False, "error": "no_viewer"})
    assert known.counts() == counted
    assert send(known, "/telemetry/events", without=["sub"]).status_code == 200


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    "wrong",
    [{"key": OTHER}, {"aud": "another"}, {"exp": 1}, {"sub": "walker\n4711"}, {"sub": True}],
)
def test_a_token_that_cannot_be_believed_names_nobody(known, wrong):
    answer = send(known, **wrong)
    assert (answer.status_code, answer.json()) == (401, {"ok": False, "error": "no_viewer"})
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "walker" not in known.up.log.read_text()
