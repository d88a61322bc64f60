"""``doc/commands.rst`` has the usage of each command."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "doc/commands.rst"
_USAGE = re.compile(r"^   ([a-z][a-z -]*?)(?= [<\[{-]| \.\.\.|$)", re.MULTILINE)


def test_each_command_is_described(front_end):
    described = set(_USAGE.findall(PAGE.read_text(encoding="utf-8")))
    known = {command.name for command in front_end("cli.commands").TABLE}
    assert known
    assert known <= described, sorted(known - described)
