"""The final checks after all cases, when everything that expires has expired."""

import datetime
import json
import time
from collections.abc import Iterator
from typing import Any

from qa.faults import managers
from qa.faults.bench import Bench
from qa.faults.results import Result

# Seconds. Entries that last longer are others': an hour by default (librbd's for the owner of a
# lock that it breaks, an administrator's), a day for former managers (the monitors').
_OURS = 120.0
_EXPIRY = 75.0  # ours last 60 s, and the monitors look at them now and then
_TROUBLE = ("an error in the module", "the loop failed", "did not end in time", "Traceback")


def our_entries(bench: Bench) -> "list[str]":
    """Return the module's blocklist entries: those that expire soon."""
    code, out, text = bench.client.mon_command(
        json.dumps({"prefix": "osd blocklist ls", "format": "json"}), b"", timeout=20
    )
    if code:
        raise RuntimeError(text)
    entries, _ = json.JSONDecoder().raw_decode(out.decode().lstrip())
    now = datetime.datetime.now(datetime.timezone.utc)
    return [entry["addr"] for entry in entries if _left(entry["until"], now) < _OURS]


def _left(until: str, now: datetime.datetime) -> float:
    """Return the seconds until a time in the format of the monitors."""
    stamp = datetime.datetime.strptime(until[:19], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007
    offset = until[-5:]
    zone = datetime.datetime.strptime(offset, "%z").tzinfo
    return (stamp.replace(tzinfo=zone) - now).total_seconds()


def look(bench: Bench) -> Result:
    """Check blocklist, crash dumps, remaining workers, managers' logs and the cluster's health."""
    begun = time.monotonic()
    result = Result("afterwards: blocklist, crashes, workers, logs, health")
    managers.wait_for_all(bench.cluster)
    entries = our_entries(bench)
    result.met = f"{len(entries)} entries of ours at first"
    while entries and time.monotonic() - begun < _EXPIRY:
        time.sleep(1)
        entries = our_entries(bench)
    result.seconds = time.monotonic() - begun
    result.findings += [f"{address} is still blocklisted" for address in entries]
    result.findings += [*_crashes(bench), *managers.stray_workers(bench.cluster), *_logs(bench)]
    checks = bench.cluster.health()["checks"]
    result.findings += [
        f"health: {name}: {check['summary']['message']}"
        for name, check in checks.items()
        if name.startswith(("RBD_MIGRATION", "MGR_MODULE", "RECENT_CRASH"))
    ]
    return result


def _crashes(bench: Bench) -> Iterator[str]:
    for path in bench.cluster.layout.crashes.iterdir():
        text = (path / "meta").read_text() if (path / "meta").exists() else "{}"
        if not _of_a_stock_module_at_its_start(json.loads(text)):
            yield f"a crash dump was written: {path.name}: {text}"


def _of_a_stock_module_at_its_start(crash: "dict[str, Any]") -> bool:
    """Whether a crash dump is of a Ceph module at its start.

    Managers from 18 on write one for each of Ceph's modules without ``NOTIFY_TYPES``.
    """
    return (
        crash.get("mgr_module") not in (None, "rbd_migration")
        and crash.get("mgr_module_caller") == "PyModule::load_subclass_of"
        and crash.get("mgr_python_exception") == "AttributeError"
    )


def _logs(bench: Bench) -> Iterator[str]:
    """Return lines of the managers' logs that report an error of the module."""
    for name in bench.cluster.mgrs():
        with open(bench.cluster.mgr_log(name), encoding="utf-8", errors="replace") as file:
            file.seek(bench.logged.get(name, 0))
            lines = file.read().splitlines()
        for number, line in enumerate(lines):
            if not any(word in line for word in _TROUBLE):
                continue
            text = " / ".join(each.strip() for each in lines[number : number + 25])
            if "rbdmigrate" in text or "rbd_migration" in text:
                yield f"the log of mgr.{name}: {text[:1000]}"
