"""Format plans and their checks as text for people."""

from collections import Counter
from typing import Any, Dict, List

from rbdmigrate.model.units import format_seconds, format_size

from .tables import bar, rate, table, with_warnings

Report = Dict[str, Any]
_PHASES = ("done", "running", "paused", "waiting", "failed", "cancelled", "skipped", "queued")
_SHOWN = 5  # problems listed after a command


def listing(plans: List[Report]) -> str:
    """Format plans as a table."""
    if not plans:
        return "There are no plans."
    rows = table(["PLAN", "STATE", "WAVE", "IMAGES", "DONE", "FAILED", "PROGRESS", "RATE"])
    for plan in plans:
        counts = plan["counts"]
        rows.add_row(
            [
                plan["name"],
                _words(plan["state"]),
                f"{plan['wave']}/{plan['waves']}" if plan["total"] else "",
                plan["total"] or "",
                counts["done"],
                counts["failed"],
                f"{plan['percent']}%",
                rate(plan["rate"]) if plan["rate"] else "",
            ]
        )
    return str(rows.get_string())


def outcome(plan: Report) -> str:
    """Format the result of a command on a plan."""
    lines = [f"{plan['name']}: {_state(plan)}", *plan["problems"][:_SHOWN]]
    if plan["next"]:
        lines.append(plan["next"])
    return "\n".join(lines)


def begun(plan: Report) -> str:
    """Format the result of starting a plan, with the warnings for clients of its targets."""
    return with_warnings(outcome(plan), plan)


def _state(plan: Report) -> str:
    if not plan["total"]:
        return _words(plan["state"])
    parts = [f"{plan['counts'][name]} {name}" for name in _PHASES if plan["counts"][name]]
    wave = "" if plan["ended"] else f", wave {plan['wave']} of {plan['waves']}"
    return f"{_words(plan['state'])}{wave}; of {plan['total']} images {', '.join(parts)}"


def _words(state: str) -> str:
    return state.replace("-", " ")


def removed(plan: Report) -> str:
    """Return the answer of ``plan rm``."""
    return f"The plan {plan['name']} is removed; its migrations stay as they are."


def detail(plan: Report) -> str:
    """Format one plan in full."""
    rows = [("plan", plan["name"]), ("state", _state(plan))]
    rows += [("selects", text) for text in plan["selects"]]
    rows.append(("goal", plan["goal"]))
    if plan["method"] != "live":
        rows.append(("method", plan["method"]))
    if plan["verify"] not in ("auto", "none"):
        rows.append(("verify", plan["verify"]))
    if plan["rate_limit"] is not None:
        rows.append(("rate", rate(plan["rate_limit"])))
    if plan["window"]:
        rows.append(("window", plan["window"]))
    if plan["total"]:
        rows.append(("progress", f"{bar(plan['percent'])} {plan['percent']}%{_speed(plan)}"))
    if plan["started"]:
        ran = format_seconds(plan["seconds"])
        how = f"took {ran}" if plan["ended"] else f"{ran} ago"
        rows.append(("started", f"{plan['started']}, {how}"))
    rows += [("problem", text) for text in plan["problems"]]
    if plan["next"]:
        rows.append(("next", plan["next"]))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    if plan["items"]:
        lines += ["", _items(plan)]
    return "\n".join(lines)


def _items(plan: Report) -> str:
    """The images as a table, with their methods where one has another than the plan."""
    differ = any(item["method"] != plan["method"] for item in plan["items"])
    rows = table(["WAVE", "SOURCE", "TARGET", "PHASE", "STATE", "PROGRESS"])
    if differ:
        rows = table(["WAVE", "SOURCE", "TARGET", "METHOD", "PHASE", "STATE", "PROGRESS"])
    for item in plan["items"]:
        cells = [item["wave"], item["source"], item["target"]]
        cells += [item["method"]] if differ else []
        rows.add_row([*cells, item["phase"], item["state"] or "", f"{item['percent']}%"])
    return str(rows.get_string())


def _speed(plan: Report) -> str:
    text = f", {format_size(plan['bytes_copied'])} copied"
    if plan["rate"]:
        text += f", {rate(plan['rate'])}"
    if plan["eta_total_seconds"] is not None:
        text += f", about {format_seconds(plan['eta_total_seconds'])} left"
    return text


def _not_warm(item: Report) -> List[str]:
    """Return a line on why an image is copied by the method ``live``, where ``warm`` is better."""
    if item["method"] != "live":
        return []
    move = f"{item['source']} -> {item['target']}"
    return [
        f"method live: {move}: {judged['code']}: {judged['reason']}"
        for judged in item["methods"]
        if judged["method"] == "warm" and not judged["ok"]
    ]


def check(found: Report) -> str:
    """Format the result of a check: the totals, then each image that has findings."""
    if found["problem"]:
        return f"{found['plan']}: {found['problem']}"
    lines = [f"{found['plan']}: {_summary(found)}"]
    for pool in found["pools"]:
        free = pool["bytes_free"]
        text = f"the pool {pool['pool']} has to take {format_size(pool['bytes_needed'])}"
        if free is not None:
            text += f" and has {format_size(free)} free"
        lines.append(text + ("" if pool["fits"] else ": it does not fit"))
    if found["seconds"] is not None:
        lines.append(f"takes at least {format_seconds(found['seconds'])} at the configured rate")
    methods = Counter(item["method"] for item in found["items"] if item["method"])
    if set(methods) - {"live"}:
        counts = ", ".join(f"{number} by {name}" for name, number in sorted(methods.items()))
        lines.append(f"methods: {counts}")
    if len(methods) > 1:
        lines += [line for item in found["items"] for line in _not_warm(item)]
    for item in found["items"]:
        move = f"{item['source']} -> {item['target']}"
        lines += [
            f"{finding['severity']:<8} {move}: {finding['code']}: {finding['message']}"
            for finding in item["findings"]
        ]
    return "\n".join(lines)


def _summary(found: Report) -> str:
    if not found["done"]:
        total = "?" if found["total"] is None else found["total"]
        part = f"{found['checked']} of {total} images are checked"
        return f"{part}; run the command again for the rest"
    text = f"{found['checked']} images, {format_size(found['bytes_to_copy'])} to copy at most"
    if found["blocked"]:
        return f"{text}; {found['blocked']} cannot begin as things are"
    return f"{text}; all of them can begin" if found["ok"] else text
