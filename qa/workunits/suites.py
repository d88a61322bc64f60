"""Suites in teuthology's form: a folder of fragments whose combinations are the jobs.

A folder with a file ``%`` stands for every combination of one choice from each of its entries, one
with ``+`` for all of its entries together; any other for the choice of one of its entries.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from qa.devcluster.layout import REPOSITORY

SUITES = REPOSITORY / "qa" / "suites"
SCRIPTS = REPOSITORY / "qa" / "workunits"
PREPARING = ("rbd_migration/install.sh",)  # done before the cluster, or not at all here
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

Fragments = tuple[Path, ...]


@dataclass(frozen=True)
class Workunit:
    """A script to run. ``timeout`` is in seconds."""

    script: str
    env: Mapping[str, str]
    timeout: float

    @property
    def name(self) -> str:
        """The name in tables: script and environment."""
        return " ".join([self.script, *(f"{key}={value}" for key, value in self.env.items())])


def jobs(folder: Path) -> "list[Fragments]":
    """Return the fragments of each job of a suite."""
    if folder.is_file():
        return [(folder,)]
    entries = sorted(p for p in folder.iterdir() if p.suffix == ".yaml" or p.is_dir())
    choices = [jobs(entry) for entry in entries]
    if (folder / "%").exists():
        return [_joined(picked) for picked in itertools.product(*choices)]
    if (folder / "+").exists():
        return [_joined([only for choice in choices for only in choice])]
    return [job for choice in choices for job in choice]


def workunits(job: Fragments) -> Iterator[Workunit]:
    """Return the scripts of a job, in its order."""
    for fragment in job:
        plain = yaml.safe_load(fragment.read_text(encoding="utf-8")) or {}
        for task in plain.get("tasks", ()):
            config: Any = task.get("workunit")
            if config:
                for script in itertools.chain(*config["clients"].values()):
                    env = {key: str(value) for key, value in config.get("env", {}).items()}
                    yield Workunit(script, env, _seconds(config.get("timeout", "3h")))


def _joined(parts: "Sequence[Fragments]") -> Fragments:
    return tuple(itertools.chain(*parts))


def _seconds(text: str) -> float:
    number = text.rstrip("smh")
    return float(number) * _UNITS[text[len(number) :]]
