"""Self-signed certificates for servers of tests."""

import os
import subprocess
from pathlib import Path


def certificate(
    folder: Path,
    *,
    names: "tuple[str, ...]" = ("localhost",),
    addresses: "tuple[str, ...]" = ("127.0.0.1",),
    days: int = 2,
) -> "tuple[Path, Path]":
    """Make a self-signed certificate for names and addresses with openssl: (certificate, key).

    A client trusts it with SSL_CERT_FILE.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, key = folder / "server.crt", folder / "server.key"
    alternatives = ",".join(
        [*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)]
    )
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [
            *request, "-nodes", "-subj", f"/CN={names[0]}", "-addext",
            f"subjectAltName={alternatives}", "-days", str(days), "-keyout", str(key),
            "-out", str(made),
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    os.chmod(key, 0o600)
    return made, key
