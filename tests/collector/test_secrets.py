import logging

import grpc
import psycopg
import pytest

from support.collectors import configured, connected
from support.otlp import METHODS, PROTOBUF, as_json
from support.secrets import (
    Secrets,
    dump,
    forms,
    read_all,
    secret_logs,
    secret_metrics,
    secret_traces,
)


async def test_secrets_in_every_place_are_neither_stored_nor_logged_nor_answered(
    catalog, own_server, own_database, caplog, capfd
):
    caplog.set_level(logging.DEBUG, "footfall")
    caplog.set_level(logging.INFO, "uvicorn")
    secrets, answers = Secrets(), []
    headers = {
        "user-agent": secrets.text("user agent"),
        "authorization": f"Bearer {secrets.text('token')}",
    }
    async with connected(configured(catalog, own_database)) as client:
        for signal, make in (
            ("traces", secret_traces),
            ("metrics", secret_metrics),
            ("logs", secret_logs),
        ):
            body = make(secrets)
            call = client.channel.unary_unary(METHODS[signal])
            metadata = [("x-user", secrets.text("grpc metadata"))]
            answers.append(await call(body, metadata=metadata))
            for content in (body, secrets.text("garbage").encode() + b"\xff", make(secrets)):
                path = f"/v1/{signal}?token={secrets.text('query')}"
                response = await client.http.post(path, content=content, headers=PROTOBUF | headers)
                answers.append(response.content)
            garbage = f'{{"resourceSpans": "{secrets.text("json garbage")}"}}'
            for content in (as_json(signal, make(secrets)), garbage.encode(), b"{"):
                sent = headers | {"content-type": "application/json"}
                response = await client.http.post(path, content=content, headers=sent)
                answers.append(response.content)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await call(secrets.text("grpc garbage").encode() + b"\xff")
            answers.append(str(refusal.value.trailing_metadata()).encode())
        response = await client.http.get(f"/{secrets.text('path')}", headers=headers)
        answers.append(response.content)
    tables = dump(own_database)
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    own_server.stop()
    files = read_all(own_server.log_file.parent)
    output = capfd.readouterr()
    logs = f"{caplog.text}{output.out}{output.err}".encode()

    kept = b"kept on purpose"  # what is looked for is found
    assert kept in tables
    assert kept in files
    for place, hidden in [*secrets.texts.items(), *secrets.numbers.items()]:
        assert all(secrets.found_in(form) for form in forms(hidden)), place
    assert len(secrets.texts) > 85
    found = {"tables": tables, "files": files, "logs": logs, "answers": b"".join(answers)}
    leaks = [(name, secrets.found_in(content)) for name, content in found.items()]
    assert leaks == [("tables", []), ("files", []), ("logs", []), ("answers", [])]
