"""The files of the web page, and the headers that restrict what a browser does with them."""

import mimetypes
from pathlib import Path
from typing import Optional
from urllib.parse import unquote

FOLDER = Path(__file__).parent / "static"
ADDRESS = "/rbd-migration/"
OPENAPI = "openapi.json"  # generated, not a file
METRICS = "metrics"  # in the dashboard

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def find(path: str, folder: Path = FOLDER) -> Optional[Path]:
    """Return the file of a raw path below ``ADDRESS``; None if the page has no such file."""
    parts = [part for part in unquote(path).split("/") if part] or ["index.html"]
    if any(part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    found = folder.joinpath(*parts)
    return found if found.is_file() and found.suffix != ".py" else None


def content_type(path: Path) -> str:
    """Return the media type of a file; unknown types are downloaded, not shown."""
    known = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    return known or "application/octet-stream"
