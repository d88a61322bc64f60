"""Failures: the sentence, whether to try again, and when."""

import errno as e
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.failures import (
    backoff,
    explain,
    source_crashed,
    source_stalled,
    worker_lost,
)
from rbdmigrate.model.errors import errno_name
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import ActKind

TARGET = ImageSpec("ssd", "ns", "b")
ERRNOS = [*sorted(e.errorcode), 0, 512, 9999]


@pytest.mark.parametrize("act", ActKind)
def test_every_failure_is_one_sentence_that_names_the_target_and_the_errno(act):
    for errno in ERRNOS:
        message = explain(act, errno, TARGET).message
        assert message.endswith(f" ({errno_name(errno)}).")
        assert " ssd/ns/b failed: " in message
        assert message[0].isupper()
        assert ". " not in message
        assert "\n" not in message


@pytest.mark.parametrize("act", ActKind)
def test_a_lost_worker_is_one_sentence_and_tried_again(act):
    lost = worker_lost(act, "it was killed by signal 9", TARGET)
    assert lost.message.endswith(" ssd/ns/b was interrupted: it was killed by signal 9.")
    assert lost.transient


def test_each_act_is_called_by_its_own_words():
    assert len({explain(act, e.EIO, TARGET).message for act in ActKind}) == len(ActKind)


SENTENCES = [
    (ActKind.ABORT, e.EBUSY, "the target is open somewhere, or"),
    (ActKind.COMMIT, e.EBUSY, "an image is still in use"),
    (ActKind.EXECUTE, e.EBUSY, "device or resource busy"),
    (ActKind.PREPARE, e.EINVAL, "check the object size, the striping and the features"),
    (ActKind.PREPARE, e.EEXIST, "an image of the target's name exists"),
    (ActKind.PREPARE, e.ENOENT, "the source, or a pool that was named, does not exist"),
    (ActKind.EXECUTE, e.ENOSPC, "free space or raise the quota"),
    (ActKind.EXECUTE, e.EDQUOT, "the pool's quota is used up"),
    (ActKind.EXECUTE, e.EPERM, "the manager's keyring may not do this"),
    (ActKind.EXECUTE, e.EACCES, "the manager's keyring may not do this"),
    (ActKind.EXECUTE, e.EROFS, "the exclusive lock"),
    (ActKind.EXECUTE, e.ESHUTDOWN, "blocklisted"),
]


@pytest.mark.parametrize(("act", "errno", "words"), SENTENCES)
def test_a_failure_with_a_known_cause_says_it(act, errno, words):
    assert words in explain(act, errno, TARGET).message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("qcow over https://h/x.qcow2", "when an https server closes a connection"),
        ("raw over s3 https://h/b/x.raw", "when an https server closes a connection"),
        ("qcow over http://h/x.qcow2", "answer each range with 206"),
        ("qcow over file /srv/x.qcow2", "look at it with `qemu-img check`"),
        ("raw over file /srv/x.raw", "import it in another form"),
    ],
)
def test_a_crash_blames_what_crashes_librbd(source, words):
    failure = source_crashed(ActKind.PREPARE, 11, ImageSpec("", "", source), TARGET)
    assert words in failure.message
    assert ("qemu-img check" in failure.message) is (source == "qcow over file /srv/x.qcow2")
    assert failure.message.endswith(".")
    assert ". " not in failure.message.replace("18.2.5", "")


def test_a_standstill_of_tls_names_what_librbd_waits_for():
    https = source_stalled(
        ActKind.EXECUTE, 60, ImageSpec("", "", "raw over https://h/x.raw"), TARGET
    )
    http = source_stalled(ActKind.EXECUTE, 60, ImageSpec("", "", "raw over http://h/x.raw"), TARGET)
    assert "when an https server closes a connection" in https.message
    assert "https" not in http.message


PASSES_BY_ITSELF = [
    *[e.ETIMEDOUT, e.EAGAIN, e.EBUSY, e.EINTR, e.ESHUTDOWN, e.ENOTCONN, e.ECONNREFUSED],
    *[e.ECONNRESET, e.EHOSTUNREACH, e.ENETUNREACH, e.EPIPE, e.EIO, e.EROFS, e.ERESTART],
]
NEEDS_SOMEBODY = [
    *[e.EINVAL, e.ENOENT, e.EEXIST, e.ENOSPC, e.EDQUOT, e.EPERM, e.EACCES, e.EOPNOTSUPP],
    *[e.ERANGE, e.EDOM, e.ENOSYS, 9999],
]


@pytest.mark.parametrize("act", ActKind)
def test_only_trouble_that_may_pass_is_tried_again(act):
    assert all(explain(act, errno, TARGET).transient for errno in PASSES_BY_ITSELF)
    assert not any(explain(act, errno, TARGET).transient for errno in NEEDS_SOMEBODY)


class NoJitter(random.Random):
    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("attempt", "wait"), [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (8, 300), (10**6, 300)]
)
def test_the_wait_doubles_up_to_the_cap(attempt, wait):
    assert backoff(attempt, first=5, cap=300, chance=NoJitter()) == wait


@given(
    st.integers(1, 10**9),
    st.floats(0.01, 1e4),
    st.floats(0.01, 1e6),
    st.randoms(use_true_random=False),
)
def test_the_jitter_takes_off_a_quarter_at_most_and_adds_nothing(attempt, first, cap, chance):
    whole = backoff(attempt, first, cap, NoJitter())
    assert whole <= cap
    assert 0.75 * whole <= backoff(attempt, first, cap, chance) <= whole


@given(st.integers(1, 100), st.floats(0.01, 1e4), st.floats(0.01, 1e6))
def test_the_wait_never_shrinks(attempt, first, cap):
    chance = NoJitter()
    assert backoff(attempt, first, cap, chance) <= backoff(attempt + 1, first, cap, chance)


def test_those_that_failed_together_come_back_apart():
    chance = random.Random(1)
    assert len({backoff(3, 5, 300, chance) for _ in range(50)}) == 50
