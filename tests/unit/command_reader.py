"""Reads commands as the ceph CLI does, by the descriptions in the module's table of commands."""

import re
from typing import Optional

from tests.unit.console_blocks import Shown

CEPH = ["ceph", "rbd", "migration"]
_OPTION = re.compile(r"--([a-z][a-z-]*)(?:=(.*))?$")


def asked(shown: Shown) -> Optional[list[str]]:
    """Return the words after ``ceph rbd migration``, None for other commands."""
    words = shown.words
    for at in range(len(words)):
        if words[at : at + 3] == CEPH:
            rest = words[at + 3 :]
            ends = [rest.index(mark) for mark in ("|", "&&", ";") if mark in rest]
            return rest[: min(ends, default=len(rest))]
    return None


class WrongCommandError(Exception):
    """A command that the ceph CLI would refuse."""


class Reader:
    """Reads a command as the ceph CLI does, by the descriptions in the table of commands."""

    def __init__(self, table) -> None:
        self._table = {command.name: command for command in table}

    def read(self, words: list[str]) -> tuple[object, dict[str, object], Optional[str]]:
        """Return the command, its arguments and the file for ``-i``. WrongCommandError."""
        command, rest = self._command(words)
        declared = {arg.name: arg for arg in command.args}
        args: dict[str, object] = {}
        given: Optional[str] = None
        open_args = list(command.args)
        while rest:
            word = rest.pop(0)
            option = _OPTION.match(word)
            if word in ("-i", "-f", "--format"):
                value = self._value(word, rest)
                given = value if word == "-i" else given
            elif option:
                arg = declared.get(option.group(1).replace("-", "_"))
                if arg is None:
                    raise WrongCommandError(f"{command.name} has no option {word}")
                flag = arg.type == "CephBool"
                value = option.group(2) or (True if flag else self._value(word, rest))
                self._take(args, open_args, arg, value)
            else:
                if not open_args or open_args[0].type == "CephBool":
                    raise WrongCommandError(f"{command.name} has no place for {word!r}")
                self._take(args, open_args, open_args[0], word)
        for arg in command.args:
            if arg.required and arg.name not in args:
                raise WrongCommandError(f"{command.name} needs {arg.name}")
        return command, args, given

    def _command(self, words: list[str]) -> tuple[object, list[str]]:
        for count in range(len(words), 0, -1):
            name = " ".join(words[:count])
            if name in self._table:
                return self._table[name], list(words[count:])
        raise WrongCommandError(f"there is no command {' '.join(words)!r}")

    @staticmethod
    def _value(word: str, rest: list[str]) -> str:
        if not rest or rest[0].startswith("--"):
            raise WrongCommandError(f"{word} needs a value")
        return rest.pop(0)

    @staticmethod
    def _take(args, open_args, arg, value) -> None:
        if arg.type == "CephInt" and not re.fullmatch(r"-?\d+", str(value)):
            raise WrongCommandError(f"{arg.name} needs a whole number, not {value!r}")
        if arg in open_args:
            open_args.remove(arg)
        args[arg.name] = [*args.get(arg.name, []), value] if "n=N" in arg.more else value
