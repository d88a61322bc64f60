"""The parts of the test double's answers about plans: a line of an image, problems, findings."""

from typing import Any

from rbdmigrate.control.plans.plan_file import read_plan
from rbdmigrate.control.plans.plan_text import load_plan_text
from rbdmigrate.control.plans.waves import Phase
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import PlanState
from rbdmigrate.model.report import iso

from .plan_case import Image, PlanCase

Args = dict[str, Any]


def read(file: str) -> Args:
    """Return the fields of a plan file's text. Raises MigrationError."""
    plain = load_plan_text(file)
    try:
        read_plan(plain, "rbd")
    except MigrationError as error:
        return {"definition": plain, "problem": str(error)}
    return {"definition": plain, "problem": ""}


def row_of(image: Image, wave: int) -> Args:
    begun = image.phase in (Phase.RUNNING, Phase.FAILED)
    share = 100 if image.phase is Phase.DONE else min(99, 100 * image.copied // image.size)
    return {
        "source": image.source,
        "target": image.target,
        "method": "live",
        "migration": image.ident,
        "wave": wave,
        "phase": image.phase.value,
        "postponed": False,
        "state": {Phase.RUNNING: "executing", Phase.FAILED: "failed"}.get(image.phase),
        "percent": share,
        "bytes_total": image.size if begun or image.phase is Phase.DONE else None,
        "bytes_copied": image.copied,
        "message": image.message,
    }


def timeline_of(case: PlanCase) -> "list[Args]":
    """Return what happened to a plan, the oldest first."""
    moments = ((case.created, PlanState.DRAFT), (case.started, PlanState.RUNNING))
    ended = ((case.ended, case.state),) if case.state.ended else ()
    return [
        {"at": iso(at), "state": state.value, "message": "", "by": "admin"}
        for at, state in (*moments, *ended)
        if at is not None
    ]


def problems_of(case: PlanCase, rows: "list[Args]") -> "list[str]":
    bad = [row for row in rows if row["phase"] in ("failed", "waiting") and row["message"]]
    bad.sort(key=lambda row: row["phase"] != "failed")
    texts = [f"{row['source']} -> {row['target']}: {row['message']}" for row in bad]
    return [*([case.problem] if case.problem else []), *texts][:20]


def next_of(case: PlanCase) -> str:
    name, command = case.definition.name, "`ceph rbd migration plan"
    texts = {
        PlanState.DRAFT: f"Nothing has begun: {command} check {name}` looks at its images, "
        f"{command} start {name}` begins.",
        PlanState.RUNNING: "It goes on by itself, wave by wave.",
        PlanState.PAUSED: f"It is paused: {command} resume {name}` lets it go on.",
        PlanState.STOPPED: "It stopped after too many failures and begins no more: remove the "
        f"causes, `ceph rbd migration retry --plan {name}` tries the failed again, {command} "
        f"resume {name}` goes on without them.",
        PlanState.CANCELLING: "Its migrations are being aborted.",
    }
    if case.state is PlanState.DONE and Phase.FAILED in case.phases():
        return f"`ceph rbd migration retry --plan {name}` tries those again that failed."
    return texts.get(case.state, "")


def found_of(image: Image, free: int) -> Args:
    def finding(code: str, severity: str, message: str, remedy: str = "") -> Args:
        return {"code": code, "severity": severity, "object": image.source, "message": message,
                "remedy": remedy}  # fmt: skip

    findings = []
    if "used" in image.source:
        findings.append(finding("SOURCE_IN_USE", "error", f"{image.source} is in use by "
                                "client.4711 at 10.0.0.5:0/123; stop it.",
                                f"rbd status {image.source}"))  # fmt: skip
    if "clone" in image.source:
        findings.append(finding("SOURCE_HAS_CLONES", "warning", "Snapshots of the source have "
                                "clones; a commit will need `--force`."))  # fmt: skip
    return {
        "source": image.source,
        "target": image.target,
        "ok": "used" not in image.source,
        "method": "live",
        "methods": [],
        "bytes_to_copy": image.size,
        "bytes_free": free,
        "findings": findings,
    }
