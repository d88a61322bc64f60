"""The command ``check``: runs the preflight checks and changes nothing."""

from typing import Any, Dict

from rbdmigrate.model.units import format_size

from .command import Call

Report = Dict[str, Any]


def show(result: Report) -> str:
    """Format the findings, the most severe first, each with its remedy, and the methods."""
    lines = [f"{result['source']} -> {result['target']}: {_summary(result)}"]
    for finding in result["findings"]:
        lines.append(f"{finding['severity']:<8} {finding['code']}: {finding['message']}")
        if finding["remedy"]:
            lines.append(f"{'':<8} -> {finding['remedy']}")
    methods = result["methods"] if len(result["methods"]) > 1 else []
    return "\n".join([*lines, *map(_method, methods)])


def _method(judged: Dict[str, Any]) -> str:
    """Format what speaks for or against a method."""
    able = " (recommended)" if judged["recommended"] else "" if judged["ok"] else " (not possible)"
    return f"method {judged['method']}{able}: {judged['reason']}"


def _summary(result: Report) -> str:
    count = sum(finding["severity"] == "error" for finding in result["findings"])
    text = "it can be prepared" if result["ok"] else f"it cannot be prepared ({count} error(s))"
    if result["ok"] and result["method"] != "live":
        text += f" by the method {result['method']}"
    if result["bytes_to_copy"] is not None:
        text += f"; up to {format_size(result['bytes_to_copy'])} to copy"
    if result["bytes_free"] is not None:
        text += f", {format_size(result['bytes_free'])} free"
    return text


def specs_of(call: Call) -> Any:
    """Return the source and target of the command; a target of None means a migration in place."""
    target = call.spec("target_image", "target") if call.text("target_image") else None
    return call.spec("source_image", "source"), target
