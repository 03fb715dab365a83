"""Certificates that are signed by themselves, and TLS for servers of the standard library."""

import ssl
import subprocess
from pathlib import Path
from socketserver import TCPServer
from typing import NamedTuple


class Files(NamedTuple):
    """Paths of a private key and its certificate (PEM)."""

    key: Path
    certificate: Path


def make(folder: Path, name: str, alternative: str) -> Files:
    """Makes both.

    Args:
        folder: Where they are put.
        name: What the certificate is for, and what the files are called.
        alternative: The same as `subjectAltName` has it: `IP:127.0.0.1`.
    """
    files = Files(folder / f"{name}.key", folder / f"{name}.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-keyout", files.key, "-out", files.certificate,
         "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


def secure(server: TCPServer, files: Files, client: Path | None = None) -> None:
    """Has a server speak TLS, with clients that show this certificate if one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    if client is not None:
        context.load_verify_locations(client)
        context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
