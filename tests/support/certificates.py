"""Certificates for tests, made by the command openssl."""

import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """Makes certificates with the command openssl; each name is a pair of files name.pem, name.key."""

    def __init__(self, folder: Path, name: str):
        self.folder, self.name = folder, name
        self.file = folder / f"{name}.pem"
        self.openssl("req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                     "-subj", f"/CN={name}", "-days", "30")  # fmt: skip

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def sign(self, name, days=10, usage="serverAuth"):
        self.openssl("req", "-new", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                     "-subj", f"/CN={name}")  # fmt: skip
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text(
            f"subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage={usage}\n"
        )
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem",
                     "-CAkey", f"{self.name}.key", "-CAcreateserial", "-days", str(days),
                     "-extfile", extensions.name, "-out", f"{name}.pem")  # fmt: skip
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"
