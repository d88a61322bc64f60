"""Whether a worker is gone: only with proof, for it may be frozen and wake."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from rbdmigrate.cluster.processes import identity_of
from rbdmigrate.control.lifecycle.processes import is_gone
from rbdmigrate.model.migration import Actor, Intent, ProcessIdentity
from rbdmigrate.model.migration_codec import decode, encode
from rbdmigrate.model.states import ActKind
from tests.unit.builders import migration

WORKER = ProcessIdentity("5fa1-boot", 4026531836, 777)
ENDED = replace(WORKER, started=0)
CASES = [
    (WORKER, WORKER, False, "it is there"),
    (WORKER, ENDED, True, "nothing has its process id any more"),
    (WORKER, replace(WORKER, started=901), True, "its process id was given to another process"),
    (WORKER, replace(ENDED, boot_id="77aa-boot"), False, "another host of the same name"),
    (WORKER, replace(ENDED, pid_namespace=4026532999), False, "another container of the host"),
    (replace(WORKER, boot_id=""), replace(ENDED, boot_id=""), False, "no boot id to compare"),
    (replace(WORKER, pid_namespace=0), replace(ENDED, pid_namespace=0), False, "no namespace"),
    (replace(WORKER, started=0), ENDED, False, "not known when it was started"),
    (replace(WORKER, started=0), replace(ENDED, started=901), False, "nor whether it is this one"),
    (ProcessIdentity(), ENDED, False, "a record of version 0.1"),
    (ProcessIdentity(), ProcessIdentity(), False, "nothing is known"),
]


@pytest.mark.parametrize(("recorded", "found", "gone", "why"), CASES)
def test_a_worker_is_gone_only_when_its_own_host_says_so(recorded, found, gone, why):
    assert is_gone(recorded, found) is gone, why


def test_a_process_that_is_stopped_is_not_gone_and_one_that_was_reaped_is():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        before = identity_of(process.pid)
        process.send_signal(signal.SIGSTOP)
        assert not is_gone(before, identity_of(process.pid))
    finally:
        process.kill()
        process.communicate()
    assert is_gone(before, identity_of(process.pid))


def test_two_processes_of_a_host_differ_in_nothing_but_their_start():
    ours, parents = identity_of(os.getpid()), identity_of(os.getppid())
    assert ours.boot_id
    assert (ours.boot_id, ours.pid_namespace) == (parents.boot_id, parents.pid_namespace)
    assert ours.started >= parents.started > 0


def test_a_record_keeps_which_process_acts():
    intent = Intent(ActKind.ABORT, 1.0, Actor("x", "host", 7, ("1.2.3.4:0/6",), (4,), WORKER))
    assert decode(encode(migration(intent=intent))).intent.actor.process == WORKER
