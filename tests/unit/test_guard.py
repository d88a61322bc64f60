"""The abort guard: only proof that nobody touched the target lets an abort through."""

from dataclasses import replace
from errno import EBUSY, EPERM

import pytest

from rbdmigrate.control.guard import guard_abort
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Goal, Migration, Place, State

UNTOUCHED = Migration(
    id="1",
    source=Place("hdd", "", "vm", 1, "src"),
    target=Place("nvme", "", "vm", 2, "dst"),
    goal=Goal.PREPARED,
    state=State.PREPARED,
    created=0.0,
    prepared_at=1.0,
    target_version=7,
)
USER = {"client": 4711, "address": "10.0.0.5:0/1", "lock": True}


def test_proof_lets_it_through():
    guard_abort(UNTOUCHED, [], 7, locks=True, force=False)


@pytest.mark.parametrize(
    ("migration", "version", "locks"),
    [
        pytest.param(UNTOUCHED, 8, True, id="the header was written since"),
        pytest.param(replace(UNTOUCHED, touched=True), 7, True, id="a client was seen"),
        pytest.param(replace(UNTOUCHED, target_version=None), 7, True, id="nobody watched"),
        pytest.param(UNTOUCHED, 7, False, id="without exclusive-lock writes leave no trace"),
    ],
)
def test_without_proof_it_needs_force(migration, version, locks):
    with pytest.raises(MigrationError) as refusal:
        guard_abort(migration, [], version, locks=locks, force=False)
    assert refusal.value.errno == EPERM
    assert "--force" in str(refusal.value)
    guard_abort(migration, [], version, locks=locks, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_an_open_target_is_never_aborted_and_its_user_is_named(force):
    with pytest.raises(MigrationError) as refusal:
        guard_abort(UNTOUCHED, [USER], 7, locks=True, force=force)
    assert refusal.value.errno == EBUSY
    assert "client.4711 at 10.0.0.5:0/1 (holds the exclusive lock)" in str(refusal.value)
