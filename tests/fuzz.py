"""Schemathesis: requests made from an OpenAPI document, good and bad, and a look at the answers."""

import subprocess
import sys
from pathlib import Path

_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,negative_data_rejection"
)


def schemathesis(
    url: str, token: str, folder: Path, *options: str, timeout: float = 240
) -> "subprocess.CompletedProcess[str]":
    """Run it against the module's server at ``url``; it leaves what it notes in ``folder``.

    One thread: with more, CPython 3.11 fails now and then when it compiles in two at once.
    """
    return subprocess.run(
        [str(Path(sys.executable).with_name("st")), "--no-color", "run", f"{url}/openapi.json",
         "-H", f"Authorization: Bearer {token}", "--checks", _CHECKS, "--request-timeout", "30",
         "--generation-deterministic", *options],
        timeout=timeout, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
