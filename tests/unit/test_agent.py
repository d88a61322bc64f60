"""The agent: what it does while a guest is paused, its journal, its settings, its loop."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.cutover.pause import AgentStep, next_step
from rbdmigrate.model import agent_messages as messages
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate_agent.agent import Agent
from rbdmigrate_agent.guests.errors import GuestError, GuestGone
from rbdmigrate_agent.guests.model import (
    DiskExchange,
    Failure,
    Guest,
    GuestDisk,
    ImageLocation,
    Inventory,
    Position,
    Side,
    Where,
)
from rbdmigrate_agent.journal import Journal
from rbdmigrate_agent.manager import Unanswered
from rbdmigrate_agent.moving import Moving
from rbdmigrate_agent.settings import Invalid, read

SOURCE, TARGET = ImageSpec("hdd", "", "vm"), ImageSpec("nvme", "", "vm")
UNDECIDED = messages.Outcomes((messages.DiskOutcome("m1", None),))
MOVED = messages.Outcomes((messages.DiskOutcome("m1", TARGET, True),))
STAYED = messages.Outcomes((messages.DiskOutcome("m1", SOURCE, False),), "a client has it open.")

# the manager's answer, seconds of the pause, withdrawn -> the next step, with a bound of 3 seconds
TABLE = [
    (None, 0.0, False, AgentStep.ASK),
    (None, 3.0, False, AgentStep.WITHDRAW),
    (None, 9.0, True, AgentStep.ASK),
    (UNDECIDED, 0.0, False, AgentStep.ASK),
    (UNDECIDED, 2.9, False, AgentStep.ASK),
    (UNDECIDED, 3.0, False, AgentStep.WITHDRAW),
    (UNDECIDED, 99.0, True, AgentStep.ASK),
    (MOVED, 0.1, False, AgentStep.OPEN),
    (MOVED, 99.0, False, AgentStep.OPEN),
    (STAYED, 0.1, False, AgentStep.OPEN),
    (STAYED, 99.0, True, AgentStep.OPEN),
]


@pytest.mark.parametrize(("answer", "elapsed", "withdrawn", "step"), TABLE)
def test_every_row_of_the_table_of_a_pause(answer, elapsed, withdrawn, step):
    assert next_step(answer, elapsed=elapsed, max_pause=3.0, withdrawn=withdrawn) is step


answers = st.sampled_from([None, UNDECIDED, MOVED, STAYED])


@given(answers, st.floats(0, 100), st.floats(0.1, 10), st.booleans())
def test_nothing_is_opened_before_the_manager_has_decided(answer, elapsed, max_pause, withdrawn):
    step = next_step(answer, elapsed=elapsed, max_pause=max_pause, withdrawn=withdrawn)
    assert (step is AgentStep.OPEN) == (answer is not None and answer.decided)


# -- a move, with a guest and a manager that only note what happens


def exchange(**changes) -> DiskExchange:
    plain = {
        "guest": "web", "uuid": "u", "connection": "/run/q", "pid": 7, "started": 1,
        "was": "running", "device": "/d", "leaf": "leaf", "opens_as": "leaf", "above": "",
        "above_options": "{}", "leaf_options": "{}", "source": ImageLocation("hdd", "", "vm"),
        "target": ImageLocation("nvme", "", "vm"), "size": 1, "placeholder": "p", "marker": "k",
    }  # fmt: skip
    return DiskExchange(**{**plain, **changes})


DISK = GuestDisk("/d", "leaf", "", ImageLocation("hdd", "", "vm"), "admin", "", 1, False)
GUEST = Guest("web", "u", 7, 1, "running", (DISK,), "/run/q")


class FakeGuests:
    """One guest, whose disk is at a place. ``breaks``: what fails, and how often."""

    def __init__(self, breaks: Optional[dict[str, list[Exception]]] = None) -> None:
        self.done: list[str] = []
        self.place = Where.SOURCE
        self.runs = True
        self.obstacle: list[str] = []
        self._breaks = breaks or {}

    def _do(self, name: str) -> None:
        self.done.append(name)
        if self._breaks.get(name):
            raise self._breaks[name].pop(0)

    def guests(self) -> Inventory:
        return Inventory((GUEST,), (Failure("/run/other", "QEMU does not answer."),))

    def obstacles(self, guest, disks):
        return self.obstacle

    def plan(self, guest, disk, target):
        self._do("plan")
        return exchange(target=target)

    def prepare(self, exchanges):
        self._do("prepare")

    def try_open(self, exchange, location):
        self._do(f"try {location}")

    def pause(self, guest):
        self._do("pause")
        self.runs = False
        return "running"

    def close(self, exchanges):
        self._do("close")
        self.place = Where.PLACEHOLDER

    def open(self, exchange, side, location=None):
        self._do(f"open {location}")
        self.place = Where.TARGET if side is Side.TARGET else Where.SOURCE

    def resume(self, exchanges):
        self._do("resume")
        assert self.place is not Where.PLACEHOLDER
        self.runs = True
        return True

    def where(self, exchange):
        return Position(self.place)

    def tidy(self, exchanges):
        self._do("tidy")

    def redefine(self, exchange, location):
        self._do(f"redefine {location}")
        return "Change the file that starts it."


class FakeManager:
    """Answers with what it was given, message by message; an exception is raised."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[object] = []

    def ask(self, request, seconds):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def look_up(self, pool, seconds):
        self.asked.append(pool)

    @property
    def kinds(self) -> list[str]:
        return [type(request).__name__ for request in self.asked]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


HIDDEN = ImageSpec("nvme", "", "rbd_migration.m1")
MOVE = messages.GuestMove("u", (messages.DiskMove("m1", SOURCE, TARGET, copy=HIDDEN),), 3.0)
GO = messages.Go(True)


def moving(manager, tmp_path: Path, clock: Optional[Clock] = None) -> Moving:
    clock = clock or Clock()
    return Moving(
        manager=manager,
        journal=Journal(tmp_path),
        stopping=lambda: clock.now > 1000,
        clock=clock,
        sleep=clock.sleep,
    )


def entries(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("*.pause"))


def test_a_guest_moves_and_the_manager_hears_of_it(tmp_path):
    manager, guests = FakeManager(GO, MOVED, MOVED), FakeGuests()
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert guests.done == [
        "plan", "prepare", "try nvme/rbd_migration.m1", "pause", "close", "open nvme/vm", "resume",
        "redefine nvme/vm", "tidy",
    ]  # fmt: skip
    assert manager.kinds == ["str", "Ready", "Released", "Resumed"]
    assert manager.asked[-1].notes == ("Change the file that starts it.",)
    assert entries(tmp_path) == []


def test_a_guest_that_must_stay_gets_its_source_again(tmp_path):
    manager, guests = FakeManager(GO, STAYED, STAYED), FakeGuests()
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert guests.done[4:] == ["close", "open hdd/vm", "resume", "tidy"]
    assert guests.runs


def test_it_asks_until_the_outcome_is_known_and_withdraws_after_the_longest_pause(tmp_path):
    silent = [Unanswered("no answer")] * 3
    manager = FakeManager(GO, UNDECIDED, *silent, *[UNDECIDED] * 200)
    clock, guests = Clock(), FakeGuests()

    def after_withdrawal(request, seconds):
        manager.asked.append(request)
        if isinstance(request, messages.Withdraw):
            manager.answers = [STAYED, STAYED]
        answer = manager.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    manager.ask = after_withdrawal
    moving(manager, tmp_path, clock).move("qmp", guests, GUEST, MOVE)
    assert "Withdraw" in manager.kinds
    assert 3.0 <= clock.now < 5.0
    assert guests.runs
    assert guests.place is Where.SOURCE


@pytest.mark.parametrize("step", ["pause", "close"])
def test_a_guest_that_cannot_be_paused_stays_on_its_source(tmp_path, step):
    manager = FakeManager(GO, STAYED, STAYED)
    guests = FakeGuests({step: [GuestError("QEMU said no.")]})
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert "Released" not in manager.kinds
    assert guests.runs
    assert guests.place is Where.SOURCE


@pytest.mark.parametrize("why", ["obstacle", "go", "plan", "try nvme/rbd_migration.m1"])
def test_what_is_known_before_the_pause_leaves_the_guest_alone(tmp_path, why):
    answers = [messages.Go(False, "too much is written."), STAYED] if why == "go" else [STAYED]
    fails = why == "plan" or why.startswith("try")
    guests = FakeGuests({why: [GuestError("unknown options.")]} if fails else None)
    guests.obstacle = ["a backup runs."] if why == "obstacle" else []
    manager = FakeManager(*answers)
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert "pause" not in guests.done
    assert isinstance(manager.asked[-1], messages.Declined)
    assert manager.asked[-1].reason.endswith(".")
    assert entries(tmp_path) == []


def test_a_target_that_does_not_open_is_tried_again_while_the_guest_waits(tmp_path):
    manager = FakeManager(GO, MOVED, MOVED, MOVED, MOVED)
    guests = FakeGuests({"open nvme/vm": [GuestError("no capability."), GuestError("still none.")]})
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert guests.done.count("open nvme/vm") == 3
    assert guests.done.count("open hdd/vm") == 0
    assert guests.runs


def test_a_guest_that_ends_in_its_pause_gets_its_definition_changed(tmp_path):
    manager = FakeManager(GO, MOVED, MOVED)
    guests = FakeGuests({"open nvme/vm": [GuestGone("QEMU has ended.")]})
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert "redefine nvme/vm" in guests.done
    assert entries(tmp_path) == []


@pytest.mark.parametrize("answer", [MOVED, STAYED])
def test_the_next_agent_ends_the_pause_of_one_that_was_killed(tmp_path, answer):
    guests = FakeGuests()

    def killed(*anything, **more):
        raise KeyboardInterrupt

    manager = FakeManager(GO)
    first = moving(manager, tmp_path)
    first._finish = killed
    with pytest.raises(KeyboardInterrupt):
        first.move("qmp", guests, GUEST, MOVE)
    assert len(entries(tmp_path)) == 1
    guests.place = Where.PLACEHOLDER
    manager = FakeManager(UNDECIDED, answer, answer, messages.Orders(30.0))
    agent = Agent(manager=manager, journal=Journal(tmp_path), connections={"qmp": guests})
    agent.recover()
    assert manager.kinds == ["Outcome", "Withdraw", "Resumed"]
    assert guests.runs
    assert entries(tmp_path) == []


def test_a_journal_that_cannot_be_read_is_reported_and_kept(tmp_path):
    broken = tmp_path / "x.pause"
    broken.write_text("{", encoding="utf-8")
    pauses, problems = Journal(tmp_path).read()
    assert pauses == []
    assert "x.pause" in problems[0]
    assert broken.exists()


# -- the loop


def test_the_agent_reports_its_guests_and_does_what_it_is_told(tmp_path):
    manager = FakeManager(messages.Orders(30.0, (MOVE,)), GO, MOVED, MOVED)
    guests = FakeGuests()
    agent = Agent(manager=manager, journal=Journal(tmp_path), connections={"qmp": guests})
    assert agent.round() == 1.0
    report = manager.asked[0]
    assert report.guests == (
        messages.OpenGuest("web", "u", "running", (messages.OpenDisk(SOURCE, "/d"),)),
    )
    assert report.problems == ("/run/other: QEMU does not answer.",)
    assert guests.place is Where.TARGET


def test_images_of_other_pools_are_not_touched(tmp_path):
    manager = FakeManager(messages.Orders(30.0))
    agent = Agent(
        manager=manager,
        journal=Journal(tmp_path),
        connections={"qmp": FakeGuests()},
        pools=frozenset({"nvme"}),
    )
    assert agent.round() == 30.0
    assert "hdd" in manager.asked[0].guests[0].disks[0].reason


def test_a_manager_that_does_not_answer_is_asked_again(tmp_path):
    manager = FakeManager(Unanswered("no"), MOVED)
    agent = Agent(manager=manager, journal=Journal(tmp_path), connections={"qmp": FakeGuests()})
    assert 0 < agent.round() < 30
    assert 0 < agent.round() < 30


# -- settings


def test_the_command_line_wins_over_the_file(tmp_path):
    path = tmp_path / "agent.conf"
    path.write_text("[agent]\nid = a\nqmp = /run/a /run/b\npool = hdd nvme\n", encoding="utf-8")
    found = read(["--config", str(path), "--id", "b", "--host", "pve3"])
    assert (found.user, found.host, found.qmp, found.pools) == (
        "b", "pve3", ("/run/a", "/run/b"), ("hdd", "nvme"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[agent]\nwho = a\n", "who"),
        ("[other]\n", "no section"),
        ("id = a\n", "cannot be read"),
        ("[agent]\n", "--qmp"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(tmp_path, text, said):
    path = tmp_path / "agent.conf"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match=said):
        read(["--config", str(path)])
    with pytest.raises(Invalid, match="cannot be read"):
        read(["--config", str(tmp_path / "none")])


def test_a_guest_is_not_paused_when_that_cannot_be_noted(tmp_path):
    folder = tmp_path / "file"
    folder.write_text("not a folder", encoding="utf-8")
    manager, guests = FakeManager(GO, STAYED), FakeGuests()
    moving(manager, folder).move("qmp", guests, GUEST, MOVE)
    assert "pause" not in guests.done
    assert "noted" in manager.asked[-1].reason


def test_an_abort_brings_back_a_guest_whose_target_does_not_open(tmp_path):
    manager = FakeManager(GO, MOVED, UNDECIDED, STAYED, STAYED)
    guests = FakeGuests({"open nvme/vm": [GuestError("no capability.")]})
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert guests.done[-3:] == ["open hdd/vm", "resume", "tidy"]
    assert guests.place is Where.SOURCE
    assert guests.runs


def test_what_a_former_try_opened_is_closed_when_the_outcome_changed(tmp_path):
    manager = FakeManager(GO, MOVED, STAYED, STAYED)
    guests = FakeGuests({"resume": [GuestError("QEMU said no.")]})
    moving(manager, tmp_path).move("qmp", guests, GUEST, MOVE)
    assert guests.done[4:] == [
        "close", "open nvme/vm", "resume", "close", "open hdd/vm", "resume", "tidy",
    ]  # fmt: skip
