"""Format reports as text for people: tables, and one migration in full."""

from typing import Any, Dict, Iterable, List, Optional, Tuple

from prettytable import PrettyTable

from rbdmigrate.model.units import format_seconds, format_size

Report = Dict[str, Any]
_BAR = 20
_LISTED = ["SOURCE", "TARGET", "STATE", "GOAL", "PROGRESS", "NOTE"]
_MAY_BE_0 = ("per_source_pool", "per_target_pool", "per_source_host", "max_cutovers")


def bar(percent: int, width: int = _BAR) -> str:
    """Return a progress bar of ASCII characters: ``[########............]``."""
    full = percent * width // 100
    return "[" + "#" * full + "." * (width - full) + "]"


def listing(reports: Iterable[Report]) -> str:
    """Format migrations as a table. Of the Reports ``ListResult.brief`` is enough.

    The notes may be long, so no line is padded to the longest of them.
    """
    rows = table(_LISTED[:-1])
    rows.align["PROGRESS"] = "r"
    notes = _LISTED[-1:]
    for r in reports:
        rows.add_row([r["source"], r["target"], r["state"], r["goal"], f"{r['percent']}%"])
        notes.append(_note(r))
    if not rows.rows:
        return "There are no migrations."
    lines = rows.get_string().splitlines()
    return "\n".join((line + note).rstrip() for line, note in zip(lines, notes))


def keys(found: List[Dict[str, Any]]) -> str:
    """Format API keys as a table."""
    if not found:
        return "There are no API keys."
    rows = table(["ID", "NAME", "ROLE", "CREATED"])
    for key in found:
        rows.add_row([key["id"], key["name"], key["role"], key["created"]])
    return str(rows.get_string())


def table(columns: List[str]) -> Any:
    """Return an empty table without border lines."""
    made = PrettyTable(columns, border=False)
    made.align = "l"
    made.left_padding_width = 0
    made.right_padding_width = 2
    return made


def _note(r: Report) -> str:
    if r["failure"] is not None and r["state"] == "failed":
        return str(r["failure"]["message"])
    if r["hold"] is None:
        return str(r["copied_by"])
    reason, message = r["hold"]["reason"], r["hold"]["message"]
    # That it was paused says no more than the reason; other messages of a pause do.
    return reason if message.startswith("It was paused") else f"{reason}: {message}"


def outcome(r: Report) -> str:
    """Format the result of a command on a migration in one or two lines."""
    lines = [f"{r['source']} -> {r['target']}: {_state(r)}"]
    if r["failure"] is not None:
        lines.append(r["failure"]["message"])
    if r["next"] and (r["failure"] is None or r["next"] != r["failure"]["message"]):
        lines.append(r["next"])
    if r["state"] == "aborted" and r["timeline"] and r["timeline"][-1]["message"]:
        lines.append(f"Note that {r['timeline'][-1]['message']}.")
    return "\n".join(lines)


def begun(r: Report) -> str:
    """Format the result of a command that begins a migration, with the warnings for its clients.

    A method that was chosen automatically is said first, with what it means for the target.
    """
    text = outcome(r)
    if r["method_reason"]:
        absent = f" {r['target']} does not exist before the cutover." if _is_hidden(r) else ""
        text = f"Method {r['method']}:{absent} {r['method_reason']}\n{text}"
    return with_warnings(text, r)


def _is_hidden(r: Report) -> bool:
    return bool(r["method"] == "warm" and r["source"] != r["target"] and r["cut_over"] is None)


def held_up(r: Report) -> str:
    """Return why the target is not prepared and will not be within moments, or an empty text.

    Empty also for a prepare that runs or only waits for its turn.
    """
    hold = r["hold"]
    waits = r["state"] in ("queued", "preparing") and hold is not None
    if not waits or hold["reason"] == "limit":
        return ""
    return (
        f"{r['target']} is not prepared yet. {hold['message']} Start no client on it before "
        f"`ceph rbd migration status {r['target']}` says `prepared`."
    )


def with_warnings(text: str, r: Report) -> str:
    """Append a line for each warning of a migration or a plan to the text."""
    return "\n".join([text, *(f"Warning: {w['message']}" for w in r["warnings"])])


def _state(r: Report) -> str:
    copying = r["state"] in ("executing", "verifying")
    return f"{r['state']} {bar(r['percent'])} {r['percent']}%" if copying else str(r["state"])


def detail(r: Report) -> str:
    """Format one migration in full."""
    rows = [
        ("source", _with_id(r["source"], r["source_image_id"])),
        ("target", _with_id(r["target"], r["target_image_id"])),
        ("state", _state(r)),
        ("goal", r["goal"]),
    ]
    if r["method"] != "live" or r["method_reason"]:
        reason = f" (chosen automatically): {r['method_reason']}" if r["method_reason"] else ""
        rows.append(("method", r["method"] + reason))
    if r["method"] == "warm":
        rows.append(("clients", f"use the {r['clients']}"))
    rows += _rounds(r["rounds"])
    rows += _reverse_rounds(r["reverse_rounds"])
    rows += _way_back(r["way_back"])
    rows += _cutover(r)
    if r["plan"]:
        rows.append(("plan", r["plan"]))
    if r["bytes_total"]:
        copied = f"{format_size(r['bytes_copied'])} of {format_size(r['bytes_total'])}"
        rows.append(("copied", copied + _speed(r)))
    for found in r["checksums"]:
        compared = " (compared)" if found["compared"] else ""
        rows.append(("checksum", found["checksum"] + compared))
    if r["own_rate"] is not None:
        rows.append(("own rate", rate(r["own_rate"])))
    if r["window"] is not None:
        rows.append(("window", r["window"]))
    rows += _verify(r)
    rows += [("slowed", text) for text in r["slowed"]]
    if r["copied_by"]:
        rows.append(("copied by", r["copied_by"]))
    if r["hold"] is not None:
        rows.append((f"hold ({r['hold']['reason']})", r["hold"]["message"]))
    if r["failure"] is not None:
        rows.append(("failure", f"{r['failure']['message']} [{r['failure']['at']}]"))
    if r["layout"]:
        rows.append(("layout", ", ".join(f"{k}={_plain(v)}" for k, v in r["layout"].items())))
    if r["next"] and (r["hold"] is None or r["next"] != r["hold"]["message"]):
        rows.append(("next", r["next"]))
    rows.append(("id", r["id"]))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    if r["warnings"]:
        lines += ["warnings", *(f"  {warning['message']}" for warning in r["warnings"])]
    lines.append("timeline")
    for entry in r["timeline"]:
        message = f"  {entry['message']}" if entry["message"] else ""
        by = f"  (by {entry['by']})" if entry["by"] else ""
        lines.append(f"  {entry['at']}  {entry['state']}{message}{by}")
    return "\n".join(lines)


def _cutover(r: Report) -> List[Tuple[str, str]]:
    """Return a row about how the cutover is going to be done, where that is not by hand."""
    cutover = r["cutover"]
    if cutover is None:
        return []
    if cutover["pause_seconds"] is not None:
        return [("cutover", f"took {cutover['pause_seconds']:.2f}s")]
    if r["clients"] == "target":
        return []
    window = [("window", f"for the cutover: {cutover['window']}")] if cutover["window"] else []
    return window + _cutover_mode(cutover)


def _cutover_mode(cutover: Report) -> List[Tuple[str, str]]:
    if cutover["mode"] == "refuse":
        return []
    if cutover["mode"] == "when-closed":
        return [("cutover", "when the last client closes the source")]
    if cutover["mode"] == "hook":
        return [("cutover", "when hooks have stopped the clients")]
    return [("cutover", f"by the guest's agent, in at most {cutover['max_pause_seconds']:g}s")]


def _rounds(rounds: Optional[Report]) -> List[Tuple[str, str]]:
    """Return rows about the rounds of a warm migration, and the pause of its cutover."""
    if rounds is None:
        return []
    last = f"{format_size(rounds['bytes'])} in {format_seconds(rounds['seconds'])}"
    text = f"{rounds['count']}; the last copied {last}"
    if rounds["age_seconds"] is not None:
        age = format_seconds(rounds["age_seconds"])
        text += f"; the target has what the source had {age} ago"
    rows = [("rounds", text)]
    if rounds["pause_estimate_seconds"] is not None:
        rows.append(("cutover", f"would take about {rounds['pause_estimate_seconds']:.1f}s"))
    return rows


def _reverse_rounds(rounds: Optional[Report]) -> List[Tuple[str, str]]:
    """Return rows about the rounds that refresh the source after the cutover."""
    if rounds is None:
        return []
    every = rounds["every_seconds"]
    text = "on demand" if every is None else f"every {format_seconds(every)}"
    if rounds["count"]:
        last = f"{format_size(rounds['bytes'])} in {format_seconds(rounds['seconds'])}"
        text += f"; {rounds['count']} so far, the last copied {last}"
    if rounds["age_seconds"] is not None:
        age = format_seconds(rounds["age_seconds"])
        text += f"; the source has what the target had {age} ago"
    rows = [("reverse rounds", text)]
    if rounds["problem"] is not None:
        rows.append(("not refreshed", f"{rounds['problem']} It is tried again by itself."))
    return rows


def _way_back(measured: Optional[Report]) -> List[Tuple[str, str]]:
    """Return a row about what an abort after the cutover would do."""
    if measured is None:
        return []
    if measured["bytes"] is None:
        return [("abort", "copies back what clients wrote; how much is not known")]
    written = f"about {format_size(measured['bytes'])} of what clients wrote"
    return [("abort", f"would copy back {written}, in about {measured['seconds']:.1f}s")]


def _verify(r: Report) -> List[Tuple[str, str]]:
    """Return rows with the policy and result of the verification and the places of differences."""
    v = r["verification"]
    if v is None:
        return [("verify", r["verify"])] if r["verify"] != "none" else []
    text = f"{v['mode']}, {v['outcome'] or 'under way'}: {format_size(v['bytes'])} compared"
    if v["miss_probability"]:
        text += f" (one differing block is missed with probability {v['miss_probability']:.3f})"
    rows = [("verify", f"{text} [{v['at'] or v['started']}]")]
    rows += [("not compared", reason) for reason in v["reasons"]]
    for view in v["views"]:
        if view["different"]:
            shown = ", ".join(f"{d['offset']}+{d['length']}" for d in view["differences"])
            more = view["different"] - len(view["differences"])
            name = f"snapshot {view['snapshot']}" if view["snapshot"] else "head"
            rows.append(("differs", f"{name} at {shown}" + (f" and {more} more" if more else "")))
    return rows


def throttle(t: Dict[str, Any]) -> str:
    """Format the throttles of the cluster and of pools."""
    zone = f" ({t['timezone']})" if ":" in t["timetable"] else ""  # for a timetable with times
    rows = [("cluster", t["timetable"] + zone)]
    rows.append(("  now", rate(t["rate_now"])))
    rows += [(f"pool {pool}", rate(value)) for pool, value in sorted(t["pools"].items())]
    rows.append(("guard", t["guard"]["message"] if t["guard"] else "off"))
    rows += [(f"gate {gate['gate']}", gate["message"]) for gate in t["gates"]]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def window(w: Dict[str, str]) -> str:
    """Format when copies may run."""
    return f"{w['window']} ({w['timezone']})" if w["window"] else "always"


def limits(found: Dict[str, int]) -> str:
    """Format the limits, one per line."""
    width = max(len(name) for name in found)
    return "\n".join(
        f"{name:<{width}}  {value}{' (no limit)' if not value and name in _MAY_BE_0 else ''}"
        for name, value in found.items()
    )


def rate(value: Any) -> str:
    """Format bytes per second for people: ``50 MiB/s``, ``off`` for no limit."""
    return "off" if value is None else f"{format_size(int(value))}/s"


def _with_id(spec: str, ident: str) -> str:
    return f"{spec} ({ident})" if ident else spec


def _speed(r: Report) -> str:
    """Return ``, 48 MiB/s of at most 50 MiB/s, 12s left`` during a copy, else an empty text."""
    if r["rate"] is None:
        return ""
    limit = f" of at most {rate(r['rate_limit'])}" if r["rate_limit"] is not None else ""
    left = f", {format_seconds(r['eta_seconds'])} left" if r["eta_seconds"] is not None else ""
    return f", {rate(r['rate'])}{limit}{left}"


def _plain(value: Any) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)
