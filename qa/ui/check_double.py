"""The test double's answer of a check: which findings it has depends on the images' names."""

from typing import Any

from .scenes import GIB

Args = dict[str, Any]


def checked(source: str, target: str, args: Args, *, taken: bool) -> Any:
    """Return the answer of a check. ``taken``: there is a migration to the target."""
    findings = []
    if "used" in source:
        findings.append(_finding("SOURCE_IN_USE", "error", source, f"{source} is in use by "
                        "client.4711 at 10.0.0.5:0/123, holder of the exclusive lock; stop it.",
                        f"rbd status {source}"))  # fmt: skip
    if taken:
        findings.append(_finding("TARGET_EXISTS", "error", target, f"{target} exists.", ""))
    if source == target and not args.get("layout") and not args.get("force"):
        findings.append(_finding("NOTHING_CHANGES", "error", source, f"{source} would be "
                        "copied onto itself and nothing would change; give a target or a "
                        "layout option, or add --force to copy it anyway.",
                        "Give a target or a layout option."))  # fmt: skip
    url = args.get("source_spec", {}).get("stream", {}).get("url", "")
    if source.startswith("raw/") and url.endswith(".qcow2"):
        severity = "warning" if args.get("as_raw") else "error"
        findings.append(_finding("RAW_CONTAINER", severity, source, f"{url} is a QCOW file, "
                        "and not a raw disk; with --as-raw its bytes are imported as they are, "
                        "and a client sees that file instead of the disk in it.",
                        '"type": "qcow"'))  # fmt: skip
    if "clone" in source:
        findings.append(_finding("SOURCE_HAS_CLONES", "warning", source, "Snapshots of the "
                        "source have clones; a commit will need `--force`.", ""))  # fmt: skip
    findings.append(_finding("BYTES_UNKNOWN", "info", source, "The amount of data to copy is "
                    "not known: the source is large and has no fast-diff.", ""))  # fmt: skip
    ok = not any(finding["severity"] == "error" for finding in findings)
    method = args.get("method", "live")
    return {"source": source, "target": target, "ok": ok,
            "method": "warm" if method == "auto" else method,
            "methods": [] if args.get("source_spec") else _METHODS, "bytes_to_copy": 40 * GIB,
            "bytes_free": 900 * GIB, "findings": findings}  # fmt: skip


_METHODS = [
    {"method": "warm", "ok": True, "recommended": True, "code": "", "reason": "Clients use the "
     "source until the cutover, and the target is an ordinary image."},
    {"method": "live", "ok": True, "recommended": False, "code": "", "reason": "Clients use the "
     "target from the prepare on, and it reads from the source until it is executed."},
]  # fmt: skip


def _finding(code: str, severity: str, about: str, message: str, remedy: str) -> Args:
    return {
        "code": code,
        "severity": severity,
        "object": about,
        "message": message,
        "remedy": remedy,
    }
