import asyncio
import contextlib
import datetime as dt
import logging
import shutil
import socket
import ssl
import time

import grpc
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from footfall_collector.config.schema import TlsConfig
from footfall_collector.errors import StartError
from footfall_collector.security.tls import Tls

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the command openssl")


@pytest.fixture
def files(tmp_path, made):
    """The files of a listener: the first certificate, and who may connect to it."""
    copy(made, tmp_path, "first")
    shutil.copy(made / "authority.pem", tmp_path / "ca.pem")
    return tmp_path


def copy(made, folder, name):
    shutil.copy(made / f"{name}.pem", folder / "cert.pem")
    shutil.copy(made / f"{name}.key", folder / "key.pem")


def config(folder, *, mutual=False):
    return TlsConfig(
        cert_file=str(folder / "cert.pem"),
        key_file=str(folder / "key.pem"),
        client_ca_file=str(folder / "ca.pem") if mutual else None,
    )


@contextlib.asynccontextmanager
async def https(tls):
    """A uvicorn that takes the context as receivers/http.py does."""

    async def answer(_):
        return PlainTextResponse("here")

    settings = uvicorn.Config(
        Starlette(routes=[Route("/", answer)]), log_config=None, lifespan="off"
    )
    settings.load()
    settings.ssl = tls.context
    server = uvicorn.Server(settings)
    server.capture_signals = contextlib.nullcontext
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def grpc_server(tls):
    async def answer(request, _):
        return request

    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t", {"M": method}),))
    port = server.add_secure_port("127.0.0.1:0", tls.grpc_credentials())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


def client_context(made, walker=None, **options):
    context = ssl.create_default_context(cafile=made / "authority.pem")
    if walker:
        context.load_cert_chain(made / f"{walker}.pem", made / f"{walker}.key")
    for name, value in options.items():
        setattr(context, name, value)
    return context


async def http_get(made, port, walker=None, **options):
    """A request through a connection of its own; an error for a handshake that fails."""
    context = client_context(made, walker, **options)
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return (await client.get(f"https://127.0.0.1:{port}/")).text


def channel(made, port, walker=None):
    chain, key = (
        ((made / f"{walker}.pem").read_bytes(), (made / f"{walker}.key").read_bytes())
        if walker
        else (None, None)
    )
    root = (made / "authority.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(root, key, chain)
    # Without its own pool a channel would go on with a connection of another channel.
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


async def grpc_call(made, port, walker=None):
    async with channel(made, port, walker) as open_channel:
        return await call(open_channel)


async def call(open_channel):
    return await open_channel.unary_unary("/t/M")(b"here", timeout=5)


async def shown(port):
    """The certificate that the listener shows to a new client."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))


def certificate(folder, name):
    lines = (folder / name).read_text().partition("-----BEGIN CERTIFICATE-----")
    return lines[1] + lines[2]


# Connections


async def test_https_and_grpc_are_served_and_trusted(files, made):
    tls = Tls(config(files), "OTLP")
    async with https(tls) as http_port, grpc_server(tls) as grpc_port:
        assert await http_get(made, http_port) == "here"
        assert await grpc_call(made, grpc_port) == b"here"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_nothing_older_than_tls_1_2_is_spoken(files, made):
    tls = Tls(config(files), "OTLP")
    async with https(tls) as port:
        old = client_context(made, minimum_version=ssl.TLSVersion.TLSv1)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)
        assert await http_get(made, port, maximum_version=ssl.TLSVersion.TLSv1_2) == "here"


async def test_plain_text_is_not_answered(files, made):
    tls = Tls(config(files), "OTLP")
    async with https(tls) as port:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://127.0.0.1:{port}/")
        assert await http_get(made, port) == "here"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_https_asks_clients_for_a_certificate_of_the_authority(files, made, version):
    tls = Tls(config(files, mutual=True), "OTLP")
    limits = {"maximum_version": version, "minimum_version": version}
    async with https(tls) as port:
        assert await http_get(made, port, "walker", **limits) == "here"
        for walker in (None, "strange-walker"):
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await http_get(made, port, walker, **limits)


async def test_grpc_asks_clients_for_a_certificate_of_the_authority(files, made):
    tls = Tls(config(files, mutual=True), "OTLP")
    async with grpc_server(tls) as port:
        assert await grpc_call(made, port, "walker") == b"here"
        for walker in (None, "strange-walker"):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await grpc_call(made, port, walker)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE


# Reload


async def test_a_reload_shows_the_new_certificate_and_keeps_open_connections(files, made):
    tls = Tls(config(files), "OTLP")
    async with (
        https(tls) as http_port,
        grpc_server(tls) as grpc_port,
        httpx.AsyncClient(verify=client_context(made), trust_env=False) as client,
        channel(made, grpc_port) as open_channel,
    ):
        streams = []
        for _ in range(2):
            response = await client.get(f"https://127.0.0.1:{http_port}/")
            streams.append(response.extensions["network_stream"].get_extra_info("client_addr"))
            assert await call(open_channel) == b"here"
            copy(made, files, "second")
            assert tls.reload() is True
        assert streams[0] == streams[1]  # one connection, before and after
        for port in (http_port, grpc_port):
            assert await shown(port) == certificate(made, "second.pem")
    assert abs(tls.expires - dt.datetime.now(dt.UTC) - dt.timedelta(days=20)) < dt.timedelta(1)


async def test_what_is_not_reloaded_is_not_changed(files, made):
    tls = Tls(config(files), "OTLP")
    async with https(tls) as http_port, grpc_server(tls) as grpc_port:
        copy(made, files, "second")
        for port in (http_port, grpc_port):
            assert await shown(port) == certificate(made, "first.pem")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_clients_of_an_authority_that_was_taken_out_stay_outside(files, made, version):
    tls = Tls(config(files, mutual=True), "OTLP")
    async with https(tls) as http_port, grpc_server(tls) as grpc_port:
        context = client_context(made, "walker", maximum_version=version)
        session = await asyncio.to_thread(meet, http_port, context)
        assert session is not None
        assert await grpc_call(made, grpc_port, "walker") == b"here"
        shutil.copy(made / "stranger.pem", files / "ca.pem")
        assert tls.reload() is True
        # Nor with the session of the time before, which would spare the check.
        with pytest.raises(OSError, match=r"alert|reset|EOF"):
            await asyncio.to_thread(meet, http_port, context, session)
        with pytest.raises(grpc.aio.AioRpcError):
            await grpc_call(made, grpc_port, "walker")
        assert await http_get(made, http_port, "strange-walker") == "here"
        assert await grpc_call(made, grpc_port, "strange-walker") == b"here"


def meet(port, context, session=None):
    """A request by hand; the TLS session, to be taken up again."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        answer = connection.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ConnectionResetError("EOF")
        return connection.session


@pytest.mark.parametrize("wrong", ["missing", "half", "expired", "other key"])
async def test_a_reload_of_wrong_files_is_logged_and_changes_nothing(files, made, caplog, wrong):
    tls = Tls(config(files), "OTLP/HTTP")
    async with https(tls) as port:
        spoil(files, made, wrong)
        with caplog.at_level(logging.ERROR, "footfall.tls"):
            assert tls.reload() is False
        [record] = caplog.records
        assert record.getMessage().startswith("OTLP/HTTP: ")
        assert record.getMessage().endswith("; the former certificate stays in force")
        assert record.exc_info is None
        assert await shown(port) == certificate(made, "first.pem")
        copy(made, files, "second")
        assert tls.reload() is True
        assert await shown(port) == certificate(made, "second.pem")


def spoil(files, made, wrong):
    if wrong == "missing":
        (files / "cert.pem").unlink()
    elif wrong == "half":
        (files / "cert.pem").write_text((made / "second.pem").read_text()[:200])
    elif wrong == "expired":
        copy(made, files, "expired")
    elif wrong == "other key":
        shutil.copy(made / "second.key", files / "key.pem")
    elif wrong == "passphrase":
        shutil.copy(made / "locked.key", files / "key.pem")
    elif wrong == "clients":
        copy(made, files, "walker")
    elif wrong == "authority":
        (files / "ca.pem").write_text("authority")
    elif wrong == "folder":
        (files / "key.pem").unlink()
        (files / "key.pem").mkdir()


# What is refused at the start


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("missing", "{}/cert.pem cannot be read: No such file or directory; correct the path"),
        ("folder", "{}/key.pem cannot be read: Is a directory; correct the path"),
        ("half", "{}/cert.pem and {}/key.pem are no certificate and key that can be used"),
        ("expired", "clients would refuse {}/cert.pem: certificate has expired; put a valid"),
        ("other key", "{}/key.pem is not the key of {}/cert.pem; name the two"),
        ("passphrase", "{}/key.pem has a passphrase; store it without one"),
        ("clients", "clients would refuse {}/cert.pem: unsuitable certificate purpose"),
        ("authority", "{}/ca.pem holds no certificate in PEM"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(files, made, wrong, message):
    spoil(files, made, wrong)
    with pytest.raises(StartError) as error:
        Tls(config(files, mutual=True), "OTLP/gRPC")
    assert str(error.value).startswith("OTLP/gRPC: " + message.replace("{}", str(files)))
    assert "\n" not in str(error.value)


def test_a_check_takes_no_time_worth_speaking_of(files):
    begin = time.perf_counter()
    Tls(config(files, mutual=True), "OTLP")
    assert time.perf_counter() - begin < 10
