"""Spans of time: written only where a trace is wanted, and summed for ``./run qa trace``."""

import json
import os
import subprocess
import sys
from pathlib import Path

from qa.trace.spans import Span, read, summed, waits

_ONE = """
from rbdmigrate.trace import span
with span("look", "m1"):
    with span("observe", "m1", "prepare"):
        pass
"""


def _run(tmp_path: Path, folder: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment.pop("RBD_MIGRATION_TRACE_DIR", None)
    if folder:
        environment["RBD_MIGRATION_TRACE_DIR"] = folder
    subprocess.run([sys.executable, "-c", _ONE], env=environment, check=True, cwd=tmp_path)


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    _run(tmp_path, "")
    assert list(tmp_path.iterdir()) == []


def test_a_process_writes_its_spans(tmp_path: Path) -> None:
    _run(tmp_path, str(tmp_path))
    inner, outer = read(tmp_path)
    assert (inner.what, inner.ident, inner.act) == ("observe", "m1", "prepare")
    assert (outer.what, outer.ident, outer.act) == ("look", "m1", "")
    assert outer.begin <= inner.begin <= inner.end <= outer.end


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    whole = json.dumps(["look", "m1", "", 1.0, 2.0, 0.5])
    (tmp_path / "7.trace").write_text(f"{whole}\n{whole[:9]}", encoding="utf-8")
    assert read(tmp_path) == [Span("look", "m1", "", 1.0, 2.0, 0.5)]


def test_what_is_between_the_spans_of_a_migration_is_waiting() -> None:
    spans = [
        Span("begin", "m1", "", 0.0, 1.0),
        Span("look", "m1", "", 3.0, 4.0),
        Span("observe", "m1", "", 3.0, 3.5),
        Span("step", "m1", "prepare", 4.5, 6.0),
        Span("look", "m2", "", 4.0, 5.0),
        Span("look", "m1", "", 5.5, 7.0),  # before the step ended: it did not wait
    ]
    assert list(waits(spans)) == [
        Span("wait for a look", "m1", "", 1.0, 3.0),
        Span("wait for a place", "m1", "prepare", 4.0, 4.5),
    ]


def test_sums_are_by_kind_in_the_order_of_the_first() -> None:
    spans = [
        Span("act", "m2", "commit", 5.0, 6.0, 0.25),
        Span("act", "m1", "prepare", 1.0, 2.0, 0.5),
        Span("act", "m2", "prepare", 2.0, 5.0, 0.5),
    ]
    first, second = summed(spans)
    assert (first.act, first.count, first.seconds, first.used) == ("prepare", 2, 4.0, 1.0)
    assert first.longest == 3.0
    assert (second.act, second.count) == ("commit", 1)
