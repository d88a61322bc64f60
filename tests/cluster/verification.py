"""Waiting for verifications, and what they found."""

import time
from typing import Any, Optional

import rados

from qa.workload.images import (
    MIB,
    opened,
)
from tests.cluster.commands import Commands, Report

SIZE = 8 * MIB
GRAIN = 4096
POINT = ".rbd_migration."


def points(client: rados.Rados, spec: str) -> "list[str]":
    """The comparison snapshots of an image."""
    with opened(client, spec) as image:
        return [s["name"] for s in image.list_snaps() if s["name"].startswith(POINT)]


def views(report: Report) -> "dict[Optional[str], dict[str, Any]]":
    return {view["snapshot"]: view for view in report["verification"]["views"]}


def different(report: Report) -> "dict[Optional[str], list[tuple[int, int]]]":
    """The differing extents by view; the head is None."""
    return {
        name: [(d["offset"], d["length"]) for d in view["differences"]]
        for name, view in views(report).items()
        if view["different"]
    }


def wait_failed(migration: Commands, target: str, timeout: float = 60) -> Report:
    deadline = time.monotonic() + timeout
    while True:
        report = migration.report(target)
        if report["state"] == "failed":
            return report
        assert time.monotonic() < deadline, f"{target} is {report['state']}"
        time.sleep(0.05)


def wait_compared(migration: Commands, target: str, percent: int, timeout: float = 60) -> Report:
    deadline = time.monotonic() + timeout
    while True:
        report = migration.report(target)
        if report["state"] == "verifying" and report["percent"] >= percent:
            return report
        assert time.monotonic() < deadline, f"{target} is {report['state']} {report['percent']}%"
        time.sleep(0.05)
