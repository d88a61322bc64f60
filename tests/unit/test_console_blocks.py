"""Commands and output that the documentation shows are those of the product.

Output is compared with the texts in the source, so a sentence that was changed there is found here.
"""

import errno
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from rbdmigrate.checks import run
from tests.unit.command_reader import Reader, WrongCommandError, asked
from tests.unit.console_blocks import Shown, pages, shown_in
from tests.unit.sentences import Sentences
from tests.unit.shown_output import EXCEPTIONS, Output, missing
from tests.unit.test_checks import TABLE as FACTS


def all_shown() -> Iterator[tuple[Path, Shown]]:
    """Return each command of this module in the documentation, with its page."""
    for page in pages():
        yield from ((page, shown) for shown in shown_in(page) if asked(shown) is not None)


class Keys:
    """API keys of a server, for commands that ask for them."""

    def create(self, name, role):
        return {"id": "ab6bb427a531", "name": name, "role": role, "key": "rbdm_x"}

    def list(self):
        return []

    def remove(self, name):
        return {"id": "ab6bb427a531", "name": name, "role": "read"}


@pytest.fixture(scope="module")
def commands(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.commands")


@pytest.fixture(scope="module")
def reader(commands):
    return Reader(commands.TABLE)


def test_every_command_can_be_given(commands, reader, engine, options):
    refused = []
    for _, shown in all_shown():
        try:
            command, args, given = reader.read(asked(shown))
        except WrongCommandError as error:
            refused.append(f"{shown.where}: {error}")
            continue
        inbuf = _file(shown, given) if given else None
        call = {"prefix": f"rbd migration {command.name}", **args}
        code, _, said = commands.handle(
            engine, options, call, lambda pool, namespace: True, inbuf, Keys()
        )
        if -code in (errno.EINVAL, errno.EIO):
            refused.append(f"{shown.where}: {said}")
    assert not refused, "\n".join(refused)


def _file(shown: Shown, name: str) -> str:
    """The text of the file for ``-i``, as the page shows it before."""
    return shown.files.get(name) or shown.files.get(Path(name).suffix) or ""


def test_every_line_of_output_is_one_that_the_product_prints():
    unknown = [
        f"{line.where}: {line.text}"
        for page, group in _by_page().items()
        for line in Output(group).unknown()
    ]
    assert not unknown, "\n".join(unknown)


def test_output_is_complete(reader):
    lacking = [
        f"{shown.where}: {text}" for _, shown in all_shown() for text in missing(reader, shown)
    ]
    assert not lacking, "\n".join(lacking)


def test_blocks_of_all_kinds_are_found():
    found = {line.where.partition(":")[0] for _, shown in all_shown() for line in shown.output}
    assert {"README.md", "doc/quickstart.rst", "doc/commands.rst"} <= found
    nested = [
        shown for _, shown in all_shown() if shown.command.endswith("prepare hdd/vm4 nvme/vm4")
    ]
    assert [len(shown.output) for shown in nested] == [1]


def test_every_exception_is_needed():
    lines = {line.text for _, shown in all_shown() for line in shown.output}
    assert set(EXCEPTIONS) <= lines


def test_a_refusal_shows_its_remedy():
    """A finding of a check is shown with its remedy wherever it is the only text."""
    short = [
        line.where
        for _, shown in all_shown()
        for line in shown.output
        for text in re.findall(r"^(?:Error E[A-Z]+: |problem  +\S+ -> \S+: )(.*)", line.text)
        if _bare(text) in _without_remedy()
    ]
    assert not short, "the remedy is missing: " + ", ".join(short)


@lru_cache(maxsize=1)
def _without_remedy() -> frozenset[str]:
    findings = [finding for facts, _ in FACTS for finding in run(facts)]
    return frozenset(_bare(one.message) for one in findings if one.sentence != one.message)


def _bare(text: str) -> str:
    """A sentence without names of images and clients and without numbers."""
    text = re.sub(r"client\.\d+ at [^;]*;", "CLIENT;", text)
    return re.sub(r"\d+", "#", re.sub(r"[\w-]+/[\w-]+", "IMAGE", text))


def _by_page() -> dict[Path, list[Shown]]:
    found: dict[Path, list[Shown]] = {}
    for page, shown in all_shown():
        found.setdefault(page, []).append(shown)
    return found


class TestSentences:
    """What is taken for a text of the product."""

    @pytest.fixture
    def known(self):
        return Sentences({"hdd"})

    @pytest.mark.parametrize(
        "text",
        [
            "hdd/vm1 -> nvme/vm1: prepared",
            "Copying begins by itself, and goes on until it is committed.",
            "173.1 MiB of 400 MiB, 20.2 MiB/s of at most 20 MiB/s, 11s left",
            "hdd/vm1 -> nvme/vm1: it can be prepared; up to 64 MiB to copy, 18.4 GiB free",
        ],
    )
    def test_one_of_it_is_known(self, known, text):
        assert known.know(text)

    @pytest.mark.parametrize(
        "text",
        [
            "hdd/vm1 -> nvme/vm1: ready",
            "Copying begins by itself, and goes on until it ends.",
            "173.1 MiB of 400 MiB, 20.2 MiB/s or less",
            "Start the clients of the target, then `ceph rbd migration execute nvme/vm1`.",
            "Error EPERM: Clients have written to nvme/vm3.",
        ],
    )
    def test_another_is_not(self, known, text):
        assert not known.know(text)
