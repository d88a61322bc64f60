"""The commands about hooks: web servers that are told of migrations, and asked."""

from errno import EINVAL
from typing import List

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hook_report import HookRow, LateAnswer
from rbdmigrate.model.hooks import SUBSCRIBED, TIMEOUT
from rbdmigrate.model.source import CONFIG
from rbdmigrate.model.units import parse_seconds

from . import tables
from .command import TARGET, Arg, Call, Command

_NAME = Arg("hook", required=True)


def _add(call: Call) -> HookRow:
    given = call.text("secret") or ""
    if call.inbuf and given:
        raise MigrationError(EINVAL, "The secret is given twice; leave out -i or --secret.")
    if given and not given.startswith(CONFIG) and call.logged:
        raise MigrationError(
            EINVAL,
            "A secret on the command line ends in the audit log; give it in a file with -i, or "
            f"store it as a config-key and give --secret {CONFIG}KEY.",
        )
    timeout = call.text("timeout")
    events = call.args.get("events") or ""
    listed = events if isinstance(events, list) else str(events).split(",")
    found: HookRow = call.engine.hooks.add(
        call.text("hook") or "",
        call.text("url") or "",
        events=[event.strip() for event in listed if event.strip()],
        pool=call.text("pool") or "",
        secret=call.inbuf or given,
        timeout=TIMEOUT if timeout is None else parse_seconds(timeout, "--timeout"),
        ca=call.text("ca") or "",
    )
    return found


def _ls(call: Call) -> List[HookRow]:
    found: List[HookRow] = call.engine.hooks.shown()
    return found


def _rm(call: Call) -> HookRow:
    found: HookRow = call.engine.hooks.remove(call.text("hook") or "")
    return found


def _test(call: Call) -> HookRow:
    found: HookRow = call.engine.hooks.test(call.text("hook") or "")
    return found


def _done(call: Call) -> LateAnswer:
    target = call.spec("target_image", "target")
    found: LateAnswer = call.engine.hooks.done(call.text("hook") or "", target, call.text("veto"))
    return found


def _show_ls(found: List[HookRow]) -> str:
    if not found:
        return "There are no hooks."
    rows = tables.table(["NAME", "URL", "EVENTS", "POOL", "WAITING", "NOTE"])
    for hook in found:
        events = "all" if len(hook.events) == len(SUBSCRIBED) else ",".join(hook.events)
        note = hook.last_failure or ""
        if hook.lost:
            note = f"{hook.lost} messages were given up. {note}".rstrip()
        row = [hook.name, hook.url, events, hook.pool or "", hook.waiting, note]
        rows.add_row(row)
    return str(rows.get_string())


def _show_added(hook: HookRow) -> str:
    return (
        f"The hook {hook.name} is registered; `ceph rbd migration hook test {hook.name}` "
        "sends it a message."
    )


def _show_done(found: LateAnswer) -> str:
    said = "said no" if found.veto is not None else "agreed"
    return f"The hook {found.hook} {said} to {found.event} of {found.target}."


TABLE = (
    Command(
        "hook add",
        (
            _NAME,
            Arg("url", required=True),
            Arg("events"),
            Arg("pool"),
            Arg("secret"),
            Arg("timeout"),
            Arg("ca"),
        ),
        "Register a web server that is told of migrations, and may be asked to stop clients",
        "w",
        _add,
        _show_added,
    ),
    Command("hook ls", (), "List the hooks, and what waits for them", "r", _ls, _show_ls),
    Command(
        "hook rm",
        (_NAME,),
        "Forget a hook, and the messages that wait for it",
        "w",
        _rm,
        lambda hook: f"The hook {hook.name} is removed.",
    ),
    Command(
        "hook test",
        (_NAME,),
        "Send a hook a message, and say what it answers",
        "w",
        _test,
        lambda hook: f"The hook {hook.name} took the message.",
    ),
    Command(
        "hook done",
        (_NAME, TARGET, Arg("veto")),
        "Answer for a hook that put a question off: yes, or no with --veto REASON",
        "w",
        _done,
        _show_done,
    ),
)
