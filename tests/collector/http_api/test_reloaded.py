"""The keys of JWTs are read again on SIGHUP, while the collector runs."""

import asyncio
import signal

import pytest

from collector.http_api.conftest import collector
from collector.signers import jwk, jwks, public_pem, rsa_key, token
from conftest import new_database
from support.waiting import wait_until

FIRST, SECOND = rsa_key("first"), rsa_key("second")
SHOWN = {"event": "suggestion_shown"}


def installed(file, key):
    file.write_bytes(jwks(jwk(key)) if file.suffix == ".json" else public_pem(key))


@pytest.mark.parametrize(
    ("kind", "name"), [("jwks_file", "idp.json"), ("public_key_file", "idp.pem")]
)
def test_another_key_is_in_force_after_sighup_and_a_bad_file_changes_nothing(
    postgres_server, tmp_path, kind, name
):
    file = tmp_path / name
    installed(file, FIRST)
    jwt = {"algorithms": ["RS256"], kind: str(file)}
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path, dsn, identity={"jwt": jwt})

        def status(key):
            bearer = f"Bearer {token(key=key)}"
            return api.post(
                "/telemetry/ingest", SHOWN, viewer=None, authorization=bearer
            ).status_code

        def said(text):
            api.up.process.send_signal(signal.SIGHUP)
            asyncio.run(api.up.said(text))

        try:
            assert (status(FIRST), status(SECOND)) == (200, 401)
            file.write_bytes(b"broken")
            said("the former keys of JWTs stay in force: .*")
            assert (status(FIRST), status(SECOND)) == (200, 401)
            installed(file, SECOND)
            api.up.process.send_signal(signal.SIGHUP)
            wait_until(lambda: status(SECOND) == 200)
            assert status(FIRST) == 401
        finally:
            api.http.close()
            api.up.stop()
