"""Hooks of the test double: added, removed and tested; a name with ``down`` does not answer."""

from collections.abc import Iterable
from dataclasses import replace
from errno import EEXIST, EINVAL, EIO, ENOENT
from typing import Any

from rbdmigrate.model.codec import to_plain
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hook_report import HookCall, HookRow, LateAnswer
from rbdmigrate.model.hooks import SUBSCRIBED
from rbdmigrate.model.report import iso
from rbdmigrate.model.units import parse_seconds

Args = dict[str, Any]
_LEAST_SECRET = 16


class HooksDouble:
    """The hooks of the double."""

    def __init__(self, hooks: Iterable[HookRow], now: float) -> None:
        self.hooks = {hook.name: hook for hook in hooks}
        self._now = now

    def answer(self, route: str, name: str, args: Args) -> Any:
        """Return the body of an answer. Raises MigrationError."""
        if route == "hook_ls":
            return to_plain([self.hooks[name] for name in sorted(self.hooks)])
        if route == "hook_add":
            return to_plain(self._add(args))
        if route == "hook_done":
            return to_plain(self._done(name, args))
        hook = self.hooks.get(name)
        if hook is None:
            raise MigrationError(ENOENT, f"There is no hook {name!r}.")
        if route == "hook_rm":
            del self.hooks[name]
            return to_plain(hook)
        return to_plain(self._test(hook))

    def _add(self, args: Args) -> HookRow:
        name, url = args["hook"], args["url"]
        if name in self.hooks:
            raise MigrationError(
                EEXIST,
                f"There is a hook {name} already; remove it with `ceph rbd migration hook rm "
                f"{name}`, or choose another name.",
            )
        if not url.startswith("https://"):
            raise MigrationError(EINVAL, f"The URL {url!r} has no scheme that is known.")
        if len(args["secret"]) < _LEAST_SECRET:
            raise MigrationError(EINVAL, "A hook needs a secret of 16 to 4096 characters, which "
                                 "signs its messages.")  # fmt: skip
        timeout = parse_seconds(args.get("timeout", "10s"), "timeout")
        events = args.get("events", "").split(",") if args.get("events") else every_event()
        self.hooks[name] = row(name, url, self._now, events=tuple(events), timeout_seconds=timeout)
        return self.hooks[name]

    def _test(self, hook: HookRow) -> HookRow:
        if "down" in hook.name:
            why = "hooks.example.com answers 503"
            self._sent(hook, HookCall(iso(self._now), "test", None, "failed", why))
            raise MigrationError(EIO, f"The hook {hook.name} did not take it: {why}")
        return self._sent(hook, HookCall(iso(self._now), "test", None, "taken", None))

    def _sent(self, hook: HookRow, call: HookCall) -> HookRow:
        failure = call.reason if call.outcome == "failed" else None
        found = replace(hook, recent=(call, *hook.recent), last_at=call.at, last_event=call.event,
                        last_failure=failure)  # fmt: skip
        self.hooks[hook.name] = found
        return found

    def _done(self, target: str, args: Args) -> LateAnswer:
        hook = self.hooks.get(args["hook"])
        if hook is None or target not in hook.questions:
            raise MigrationError(EINVAL, f"The hook {args['hook']!r} is not asked about {target} "
                                 "now; nothing changed.")  # fmt: skip
        left = tuple(one for one in hook.questions if one != target)
        self.hooks[hook.name] = replace(hook, questions=left, waiting=hook.waiting - 1)
        return LateAnswer(hook.name, target, "before_cutover", args.get("veto"))


def every_event() -> "tuple[str, ...]":
    """Return all that a hook can be told."""
    return tuple(event.value for event in SUBSCRIBED)


def row(name: str, url: str, now: float, **more: Any) -> HookRow:
    """Return a hook that was told nothing yet."""
    usual: Args = {"events": every_event(), "pool": None, "timeout_seconds": 10.0, "own_ca": False,
                   "created": iso(now), "waiting": 0, "failing": False, "lost": 0,
                   "last_at": None, "last_event": None, "last_failure": None}  # fmt: skip
    return HookRow(name=name, url=url, **{**usual, **more})
