"""The console blocks of the documentation: each command, and the lines that are shown after it."""

import re
import shlex
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_RST = re.compile(r"\s*\.\. code-block:: (\w+)$")
_FENCE = re.compile(r"```(\w+)$")
_PROMPT = re.compile(r"[$#] ")
_TERMINAL = ("console", "none")


@dataclass(frozen=True)
class Line:
    """A line of a page; ``where`` is ``file:line``."""

    where: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it, with the lines of its output.

    ``files`` are the texts that the page shows before it: of files, by their names, and under
    ``.yaml`` the last YAML.
    """

    where: str
    command: str
    output: tuple[Line, ...]
    files: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The words of the command, without a comment."""
        return shlex.split(self.command, comments=True)


def pages() -> list[Path]:
    """The pages of the documentation for users and administrators."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "doc").rglob("*.rst"))]


def blocks(path: Path) -> list[tuple[str, list[Line]]]:
    """Return each code block of a page: its language and its lines without their indentation."""
    name = str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else path.name
    lines = path.read_text("utf-8").splitlines()
    found = []
    for number, line in enumerate(lines):
        begin = (_FENCE if path.suffix == ".md" else _RST).match(line)
        if begin:
            end = _end(lines, number, fence=path.suffix == ".md")
            text = textwrap.dedent("\n".join(lines[number + 1 : end])).splitlines()
            numbered = [Line(f"{name}:{number + 2 + at}", one) for at, one in enumerate(text)]
            found.append((begin.group(1), numbered))
    return found


def _end(lines: list[str], number: int, *, fence: bool) -> int:
    """Return where the block that begins in this line ends."""
    if fence:
        return lines.index("```", number)
    indent = _indent(lines[number])
    for at in range(number + 1, len(lines)):
        if lines[at].strip() and _indent(lines[at]) <= indent:
            return at
    return len(lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def shown_in(path: Path) -> list[Shown]:
    """Return the commands of all console blocks of a page."""
    found: list[Shown] = []
    files: dict[str, str] = {}
    for language, lines in blocks(path):
        if language == "yaml":
            files = {**files, ".yaml": "\n".join(line.text for line in lines)}
        if language not in _TERMINAL:
            continue
        for plain in _commands(lines):
            one = replace(plain, files=files)
            if one.words[:1] == ["cat"]:
                files = {**files, one.words[1]: "\n".join(line.text for line in one.output)}
            found.append(one)
    return found


def _commands(lines: list[Line]) -> list[Shown]:
    found: list[Shown] = []
    at = 0
    while at < len(lines):
        if not _PROMPT.match(lines[at].text):
            at += 1
            continue
        where, command = lines[at].where, lines[at].text[2:]
        while command.endswith("\\") and at + 1 < len(lines):
            at += 1
            command = command[:-1] + lines[at].text
        begin = at = at + 1
        while at < len(lines) and not _PROMPT.match(lines[at].text):
            at += 1
        output = tuple(line for line in lines[begin:at] if line.text.strip())
        found.append(Shown(where, command, output))
    return found
