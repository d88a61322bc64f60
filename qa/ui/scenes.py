"""Migrations for the test double: every state and hold, hostile names, thousands."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from rbdmigrate.model.agent_messages import Inventory, OpenDisk, OpenGuest
from rbdmigrate.model.hook_report import HookCall, HookRow
from rbdmigrate.model.host_report import HostReport
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Failure, Hold, Migration, Place
from rbdmigrate.model.report import Live, iso, report
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal, HoldReason, Method, State
from rbdmigrate.model.verification import Compared, Extent, Outcome, Verification, Verify

from .hook_double import row

GIB = 1 << 30
MIB = 1 << 20

# Texts that a page must show unchanged.
HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "<script>window.hacked=1<\\script>",
    "\"'><svg onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "${window.hacked=1}{{constructor.constructor('window.hacked=1')()}}",
    "\u202egnp.live\u202c",
    "a%2Fb%00`backtick`",
    "w" * 96,
)

_WAY = {
    State.QUEUED: (),
    State.PREPARING: (State.PREPARING,),
    State.PREPARED: (State.PREPARING, State.PREPARED),
}
_COPY = (*_WAY[State.PREPARED], State.EXECUTING)
_WAY[State.EXECUTING] = _COPY
_WAY[State.EXECUTED] = (*_COPY, State.EXECUTED)
_WAY[State.CUTTING_OVER] = (*_WAY[State.EXECUTED], State.CUTTING_OVER)
_WAY[State.CUT_OVER] = (*_WAY[State.CUTTING_OVER], State.CUT_OVER)
_WAY[State.VERIFYING] = (*_COPY, State.EXECUTED, State.VERIFYING)
_WAY[State.VERIFIED] = (*_WAY[State.VERIFYING], State.VERIFIED)
_WAY[State.COMMITTING] = (*_WAY[State.VERIFIED], State.COMMITTING)
_WAY[State.COMMITTED] = (*_WAY[State.COMMITTING], State.COMMITTED)
_WAY[State.ABORTING] = (*_COPY, State.ABORTING)
_WAY[State.ABORTED] = (*_COPY, State.ABORTING, State.ABORTED)
_WAY[State.FAILED] = (*_COPY, State.FAILED)
_OF_WARM = (State.CUTTING_OVER, State.CUT_OVER)


@dataclass
class Item:
    """A migration of the double, with what an engine would know about it."""

    migration: Migration
    live: Live = field(default_factory=Live)

    def report(self) -> dict[str, Any]:
        """Return the report of the API."""
        return report(self.migration, self.live)


def item(
    number: int,
    state: State,
    now: float,
    *,
    source: "tuple[str, str, str]" = ("hdd", "", ""),
    target: "tuple[str, str, str]" = ("nvme", "", ""),
    size: int = 40 * GIB,
    share: float = 0.0,
    rate: Optional[float] = None,
    live: Optional[dict[str, Any]] = None,
    **changes: Any,
) -> Item:
    """Return the migration ``number`` in ``state``, with a matching past."""
    name = f"vm-{number:05d}"
    begun = now - 7200 - 60 * number
    m = Migration(
        id=f"{number:012x}",
        source=Place(source[0], source[1], source[2] or name, 1, f"{0x1064D7EB7000 + number:x}"),
        target=Place(target[0], target[1], target[2] or name, 2),
        goal=changes.pop("goal", Goal.EXECUTED),
        state=State.QUEUED,
        method=changes.pop("method", Method.WARM if state in _OF_WARM else Method.LIVE),
        created=begun,
    ).enter(State.QUEUED, begun, "asked for")
    for step, passed in enumerate(_WAY[state]):
        m = m.enter(passed, begun + 3 + 41 * step * (1 + number % 7))
    if m.prepared_at is not None:
        m = replace(m, target=replace(m.target, image_id=f"{0x107231934000 + number:x}"))
    copied = int(size * (1.0 if m.executed_at else share))
    m = replace(m, bytes_total=size if m.prepared_at else None, bytes_copied=copied, **changes)
    known = live or {}
    if state is State.EXECUTING:
        left = None if not rate else (size - copied) / rate
        known = {
            "done": copied // (4 * MIB),
            "total": size // (4 * MIB),
            "copied": copied,
            "size": size,
            "rate": rate,
            "eta": left,
            "begun": now - 600,
            "ends": None if left is None else now + left,
            "acting": rate is not None,
            **known,
        }
    return Item(m, Live(**known))


def every_state(now: float) -> "list[Item]":
    """Return a migration in every state and hold, with everything that the page can show."""
    passed = Verification(
        Verify.FULL, 7, 1.0, now - 900, 312.5, outcome=Outcome.PASSED, at=now - 580,
        release="0.1.0 on Ceph 20.2.4",
        views=(
            Compared("daily-1", 1, True, 11 * GIB, 2816, 2816, 2816, "ab" * 32),
            Compared("", 1, True, 12 * GIB, 3072, 3072, 3072, "cd" * 32),
        ),
    )  # fmt: skip
    differs = replace(
        passed,
        outcome=Outcome.FAILED,
        views=(
            replace(
                passed.views[1],
                different=23,
                differences=tuple(Extent(4 * MIB * n, 4096) for n in range(20)),
            ),
        ),
    )
    partial = replace(
        passed,
        mode=Verify.SAMPLE,
        fraction=0.05,
        outcome=Outcome.PARTIAL,
        miss=0.95,
        reasons=("The head was not compared: clients wrote to it before the snapshot was taken.",),
    )
    busy = (
        "hdd/vm-00014 is in use by client.4711 at 10.0.0.5:0/123 (holder of the exclusive lock); "
        "stop it, then `ceph rbd migration retry nvme/vm-00014`."
    )
    return [
        item(1, State.EXECUTING, now, share=0.43, rate=118 * MIB, plan="ssd-move",
             live={"rate_limit": 120 * MIB}),
        item(2, State.EXECUTING, now, share=0.07, rate=31 * MIB, size=900 * GIB,
             goal=Goal.COMMITTED, priority=5,
             live={"copied_by": "client.4359 at 10.0.0.7:0/671127485, holder of the exclusive lock",
                   "slowed": ("Recovery: 4.1 % of the objects are misplaced or degraded.",)}),
        item(3, State.EXECUTING, now, share=0.61, paused=True, live={
            "hold": Hold(HoldReason.PAUSED, "It is paused; `ceph rbd migration resume "
                         "nvme/vm-00003` goes on.")}),
        item(4, State.EXECUTING, now, share=0.22, window="Mon-Fri 20:00-06:00, Sat-Sun", live={
            "hold": Hold(HoldReason.WINDOW, "Its window opens at 20:00.", now + 7000)}),
        item(5, State.PREPARED, now, goal=Goal.PREPARED, layout=LayoutOptions(
            object_size=MIB, features=("layering", "exclusive-lock", "object-map"),
            data_pool="ec-data")),
        item(6, State.PREPARED, now, live={"hold": Hold(HoldReason.LIMIT, "All 4 places for "
             "copies are taken (max_copies).")}),
        item(7, State.QUEUED, now, live={"hold": Hold(HoldReason.HEALTH, "The pool hdd does not "
             "answer; it is looked at again every 5 seconds.")}),
        item(8, State.EXECUTED, now, plan="pilot"),
        item(9, State.EXECUTED, now, target=("nvme", "tenant-a", "database"), size=3 * GIB),
        item(10, State.VERIFYING, now, goal=Goal.COMMITTED, verify=Verify.FULL,
             verification=replace(passed, outcome=None, at=None),
             live={"share": 0.37, "rate": 210 * MIB, "acting": True}),
        item(11, State.VERIFIED, now, plan="pilot", goal=Goal.VERIFIED, verify=Verify.FULL,
             verification=passed),
        item(12, State.VERIFIED, now, goal=Goal.COMMITTED, verify=Verify.SAMPLE, soak=3600.0,
             verification=partial,
             live={"hold": Hold(HoldReason.OPERATOR, "Not all of it could be compared; `ceph rbd "
                   "migration commit nvme/vm-00012 --force` commits it all the same.")}),
        item(13, State.FAILED, now, verify=Verify.FULL, verification=differs,
             share=1.0, executed_at=now - 900, failure=Failure(1, "Source and target of "
             "nvme/vm-00013 differ in 23 extents; see the verification.", now - 580)),
        item(14, State.FAILED, now, share=0.3, failure=Failure(16, busy, now - 300)),
        item(15, State.EXECUTING, now, share=0.5, attempts=3,
             failure=Failure(110, "The pool nvme did not answer in time.", now - 20, True),
             live={"hold": Hold(HoldReason.RETRY, "The pool nvme did not answer in time; it is "
                   "tried again.", now + 60)}),
        item(16, State.COMMITTING, now, goal=Goal.COMMITTED, verification=passed),
        item(17, State.ABORTING, now, goal=Goal.ABORTED, share=0.4),
        item(18, State.PREPARING, now),
        item(19, State.EXECUTED, now, source=("nvme", "", "web"), target=("nvme", "", "web"),
             layout=LayoutOptions(object_size=MIB)),
    ]  # fmt: skip


def ended(now: float) -> "list[Item]":
    """Return the migrations of the history."""
    return [
        *(item(n, State.COMMITTED, now, goal=Goal.COMMITTED) for n in range(101, 141)),
        *(item(n, State.ABORTED, now, goal=Goal.ABORTED, share=0.2) for n in range(141, 146)),
    ]


def hosts(now: float) -> "list[HostReport]":
    """Return the reports of two agents, of which one is lost long ago."""
    disks = (
        OpenDisk(ImageSpec("hdd", "", "vm-00020"), "virtio-disk0"),
        OpenDisk(ImageSpec("hdd", "", "scratch"), "virtio-disk1", "It is a CD drive."),
    )
    there = Inventory("0.1.0", (OpenGuest("web-17", "5f2c-17", "running", disks),))
    gone = Inventory("0.1.0", (), ("The guest db-2 does not answer.",))
    return [HostReport("pve3", now - 12, there), HostReport("pve4", now - 86400, gone)]


def hooks(now: float) -> "list[HookRow]":
    """Return a hook that is asked, and one that does not take its messages."""
    agreed = HookCall(iso(now - 90), "after_cutover", "nvme/vm-00020", "taken", None)
    busy = HookCall(iso(now - 30), "before_cutover", "nvme/vm-00019", "later", None)
    why = "hooks.example.com answers 503: down for maintenance"
    failed = HookCall(iso(now - 60), "committed", "nvme/vm-00101", "failed", why)
    return [
        row("proxmox", "https://pve.example.com/hook", now, pool="hdd", recent=(busy, agreed),
            questions=("nvme/vm-00019",), waiting=1, last_at=busy.at, last_event=busy.event),
        row("tickets-down", "https://hooks.example.com/rbd", now, events=("committed", "failed"),
            recent=(failed,), waiting=12, failing=True, lost=2, last_at=failed.at,
            last_event=failed.event, last_failure=why),
    ]  # fmt: skip


def hostile(now: float) -> "Iterator[Item]":
    """Return names and error texts that would do harm in a page that parses them as markup."""
    for number, text in enumerate(HOSTILE):
        name = text.replace("/", "").replace("@", "")
        yield item(
            501 + number, State.FAILED, now, source=("hdd", "", name), target=("nvme", "", name),
            failure=Failure(5, f"It broke: {text} `{text}`", now),
            live={"copied_by": text, "slowed": (text,),
                  "hold": Hold(HoldReason.OPERATOR, text)},
        )  # fmt: skip


def thousands(count: int, now: float) -> "Iterator[Item]":
    """Return the given number of migrations, most of them paused or waiting."""
    chance = random.Random(count)
    states = list(State)[:9]
    for number in range(1, count + 1):
        state = chance.choice(states)
        yield item(1000 + number, state, now, size=chance.randrange(1, 400) * GIB,
                   share=chance.random(), rate=chance.random() * 9 * MIB)  # fmt: skip
