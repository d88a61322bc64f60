"""Tests that make encrypted disks try again where QEMU cannot measure the time of a key."""

import subprocess

import pytest

from qa.workload import encrypted
from qa.workload.encrypted import retried_until_measured

COARSE = "qemu-img: disk: Unable to get accurate CPU usage\n"


def failing(times, stderr):
    """A function that fails so often, and the list of its calls."""
    calls = []

    def make():
        calls.append(1)
        if len(calls) <= times:
            raise subprocess.CalledProcessError(1, "qemu-img", stderr=stderr)
        return "made"

    return make, calls


@pytest.mark.parametrize("stderr", [COARSE, COARSE.encode()])
def test_a_measurement_that_failed_is_tried_again(stderr):
    make, calls = failing(3, stderr)
    assert retried_until_measured(make) == "made"
    assert len(calls) == 4


@pytest.mark.parametrize("stderr", ["qemu-img: no space left", b"", None])
def test_another_failure_is_raised_at_once(stderr):
    make, calls = failing(3, stderr)
    with pytest.raises(subprocess.CalledProcessError):
        retried_until_measured(make)
    assert len(calls) == 1


def test_it_ends(monkeypatch):
    monkeypatch.setattr(encrypted, "_TRIES", 2)
    make, calls = failing(99, COARSE)
    with pytest.raises(subprocess.CalledProcessError, match="qemu-img"):
        retried_until_measured(make)
    assert len(calls) == 3
