"""``cutover``, ``clients`` and ``agent``: how clients are made to leave a migration's source."""

from errno import EINVAL
from typing import Dict, List, Optional

from rbdmigrate.model import agent_messages
from rbdmigrate.model.cutover import MAX_PAUSE, CutoverMode, CutoverPolicy, parse_pause
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.host_report import AgentRow, ClientRow, agent_rows, client_rows
from rbdmigrate.model.spec import ImageSpec

from . import tables
from .command import TARGET, Arg, Call, Command, Report

ARGS = (Arg("cutover"), Arg("max_pause"), Arg("name_changes", "CephBool"))
_HOST = Arg("host", required=True)


def policy_of(call: Call) -> Optional[CutoverPolicy]:
    """Return what the options say about the cutover; None: nothing. MigrationError(EINVAL)."""
    mode, pause = call.text("cutover"), call.text("max_pause")
    if mode is None:
        if pause is not None or call.flag("name_changes"):
            option = "--max-pause" if pause is not None else "--name-changes"
            raise MigrationError(EINVAL, f"{option} is for a cutover that waits; add --cutover.")
        return None
    modes = {known.value: known for known in CutoverMode}
    if mode not in modes:
        raise MigrationError(
            EINVAL, f"--cutover {mode!r} is not known; choose from {', '.join(modes)}."
        )
    seconds = MAX_PAUSE if pause is None else parse_pause(pause, "--max-pause")
    return CutoverPolicy(modes[mode], seconds, call.flag("name_changes"))


def _cutover(call: Call) -> Report:
    target = call.spec("target_image", "target")
    return call.engine.migrations.cutover(target, policy=policy_of(call))


def _poll(call: Call) -> str:
    if not call.inbuf:
        raise MigrationError(EINVAL, "This command is for rbd-migration-agent; start that.")
    request = agent_messages.decode_request(call.inbuf)
    return agent_messages.encode(call.engine.agents.answer(call.text("host") or "", request))


def _agents(call: Call) -> List[AgentRow]:
    return agent_rows(call.engine.agents.hosts())


def _show_agents(found: List[AgentRow]) -> str:
    if not found:
        return "No agent has reported to this manager."
    rows = tables.table(["HOST", "SEEN", "VERSION", "GUESTS", "NOTE"])
    for agent in found:
        notes = (*(["lost"] if agent.lost else []), *agent.problems)
        rows.add_row([agent.host, agent.seen, agent.version, agent.guests, " ".join(notes)])
    return str(rows.get_string())


def _forget(call: Call) -> Dict[str, str]:
    host = call.text("host") or ""
    call.engine.agents.forget(host)
    return {"removed": host}


def _clients(call: Call) -> List[ClientRow]:
    pool = call.text("pool")
    image = call.spec("image", "image") if call.text("image") else None

    def wanted(spec: ImageSpec) -> bool:
        if (pool not in (None, spec.pool)) or (image not in (None, spec)):
            return False
        return call.access.covers(spec.pool, spec.namespace)

    return client_rows(call.engine.agents.hosts(), wanted)


def _show_clients(found: List[ClientRow]) -> str:
    if not found:
        return "No agent has reported a guest with such an image."
    rows = tables.table(["IMAGE", "HOST", "GUEST", "STATUS", "DEVICE", "NOTE"])
    for one in found:
        note = "agent lost" if one.lost else one.obstacle or ""
        rows.add_row([one.image, one.host, one.guest, one.status, one.device, note])
    return str(rows.get_string())


TABLE = (
    Command(
        "cutover",
        (TARGET, *ARGS),
        "Give the target of a warm migration its name, once clients have left the source",
        "w",
        _cutover,
        tables.outcome,
    ),
    Command(
        "clients",
        (Arg("pool"), Arg("image")),
        "List the guests that have images open, as their hosts' agents report",
        "r",
        _clients,
        _show_clients,
    ),
    Command(
        "agent poll",
        (_HOST,),
        "Take the message of the agent on a hypervisor host, and answer it",
        "w",
        _poll,
        str,
    ),
    Command(
        "agent ls",
        (),
        "List the agents on hypervisor hosts",
        "r",
        _agents,
        _show_agents,
    ),
    Command(
        "agent rm",
        (_HOST,),
        "Forget the agent of a host that is not used any more",
        "w",
        _forget,
        lambda result: f"The agent on {result['removed']} is forgotten.",
    ),
)
