"""Judges output that a page shows: whether the product prints such lines, and all of them."""

import errno
import re
from collections.abc import Iterator

from rbdmigrate.model.client_warnings import client_warnings, warnings_for_plan
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.plan import PlanState
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.spec import ImageSpec, parse_image_spec
from rbdmigrate.model.states import Goal, Method, State
from tests.unit.builders import NOON, migration
from tests.unit.command_reader import Reader, asked
from tests.unit.console_blocks import REPOSITORY, Line, Shown
from tests.unit.front_ends import PLAN
from tests.unit.sentences import Sentences

ELIDED = "..."  # a line of a page that stands for lines that it leaves out
# Lines that are not as the product prints them, and why.
EXCEPTIONS = {
    "rbdm_ab6bb427a531_d897...": "a key is a secret, so the page shows its beginning",
    "hdd/vm1  nvme/vm1  executed  cut-over      100%  hook: The hook lab said no: a backup runs. "
    "The cutover is tried again by itself.": "a hook gives its reason in its own words",
}
_TABLE = re.compile(r"(?:\btable\(|^_LISTED = )\[(.*?)\]", re.DOTALL | re.MULTILINE)
_COLUMNS = re.compile(r"[A-Z]+(?: +[A-Z]+)+$")


class Output:
    """The output of the commands on one page."""

    def __init__(self, shown: list[Shown]) -> None:
        self._shown = shown
        of_plans = {one.text for one in warnings_for_plan(PlanState.RUNNING)}
        self._known = Sentences(_names(shown) | of_plans)
        self._labels = labels()

    def unknown(self) -> Iterator[Line]:
        """Return the lines that the product cannot have printed."""
        for shown in self._shown:
            columns: list[str] = []
            for line in shown.output:
                if line.text in EXCEPTIONS or line.text == ELIDED:
                    continue
                if _COLUMNS.match(line.text):
                    columns = line.text.split()
                    if columns not in tables_of_source():
                        yield line
                elif columns:
                    if not self._is_row(columns, shown, line):
                        yield line
                elif not self._is_known(line.text):
                    yield line

    def _is_row(self, columns: list[str], shown: Shown, line: Line) -> bool:
        """Whether the line is a row of the table, in the same columns as its heading."""
        heading = next(one.text for one in shown.output if one.text.split() == columns)
        begins = [heading.index(name) for name in columns]
        cells = [line.text[a:b].strip() for a, b in zip(begins, [*begins[1:], None])]
        gaps = [line.text[at - 2 : at].strip() for at in begins[1:]]
        if columns[-1] == "NOTE":  # a reason and a sentence, or who copies
            reason, _, text = cells.pop().rpartition(": ")
            cells += [reason, text]
        return not any(gaps) and all(self._known.know(cell) for cell in cells)

    def _is_known(self, text: str) -> bool:
        error = re.match(r"Error (E[A-Z]+): (.*)", text)
        if error:
            return hasattr(errno, error.group(1)) and self._known.know(error.group(2))
        if text.startswith("Warning: "):
            return self._known.know(text[len("Warning: ") :])
        if text.startswith(" "):
            if not re.match(r" {2}\S| {9}-> ", text):  # of a timeline or a warning; a remedy
                return False
            words = re.split(r"  +", text.strip())
            return all(self._known.know(re.sub("^-> ", "", word)) for word in words)
        label = next((one for one in self._labels if re.match(rf"(?:{one})  +", text)), None)
        if label is not None:
            value = re.sub(rf"^(?:{label})  +", "", text)
            return self._known.know(value)
        finding = re.match(r"(error|warning|info) +([^ ].*)", text)
        return self._known.know(finding.group(2) if finding else text)


def _names(shown: list[Shown]) -> set[str]:
    """The names of pools, images, plans and keys that the commands of a page give."""
    found: set[str] = set()
    for one in shown:
        words = [*one.words, *(word for text in one.files.values() for word in text.split())]
        for word in words:
            found |= {word, *word.split("/")} if re.fullmatch(r"[\w./*-]+", word) else set()
    return {name for name in found if name}


def tables_of_source() -> list[list[str]]:
    """The headings of all tables of the command line."""
    return [
        re.findall(r'"([A-Z]+)"', found)
        for path in (REPOSITORY / "mgr_module" / "rbd_migration" / "cli").glob("*.py")
        for found in _TABLE.findall(path.read_text("utf-8"))
    ]


def labels() -> list[str]:
    """The names of the rows of ``status``, ``plan show`` and ``throttle``, as expressions."""
    found = set()
    for name in ("tables.py", "plan_tables.py"):
        path = REPOSITORY / "mgr_module" / "rbd_migration" / "cli" / name
        text = path.read_text("utf-8")
        for label in re.findall(r'\(f?"([a-z][^"]*)", ', text):
            found.add(re.sub(r"\\{.*?\\}", r"[^ ]+", re.escape(label)))
    return sorted(found, key=len, reverse=True)


def missing(reader: Reader, shown: Shown) -> Iterator[str]:
    """Return what the output of a command always has and the page does not show."""
    lines = [line.text for line in shown.output]
    if not lines or ELIDED in lines or lines[0].startswith("Error "):
        return
    command, args, given = reader.read(asked(shown))
    outcome = re.match(r".+ -> .+: (\w+)(?: \[.*)?$", lines[0])
    going_on = outcome is not None and not State(outcome.group(1)).ended
    if going_on and (len(lines) == 1 or lines[1].startswith("Warning: ")):
        yield "it does not say what comes next"
    if command.name in ("prepare", "run"):
        run = command.name == "run"
        variants = _warnings(args, given=given is not None, run=run)
        if [line for line in lines if line.startswith("Warning: ")] not in variants:
            yield "it does not have the warnings of this migration: " + " ".join(variants[0])
    elif command.name == "plan start":
        wanted = [f"Warning: {one.text}" for one in warnings_for_plan(PlanState.RUNNING)]
        if [line for line in lines if line.startswith("Warning: ")] != wanted:
            yield "it does not have the warnings of a plan"
    elif command.name in ("status", "plan show"):
        yield from _missing_rows(command, lines)


def _warnings(args, *, given: bool, run: bool) -> "list[list[str]]":
    """The warnings of a migration that begins: without snapshots, and with them."""
    source, target = args["source_image"], args.get("target_image") or args["source_image"]
    imported = Import("{}") if given or args.get("import_only") else None
    waits = args.get("cutover") in ("agent", "when-closed", "hook")
    chosen = waits or (run and imported is None and args.get("goal") != "prepared")
    named = args.get("method") if args.get("method") != "auto" else None
    method = Method(named or (Method.WARM if chosen else Method.LIVE).value)
    records = [
        _record(source, target, snapshots=count, imported=imported, method=method)
        for count in (0, 1)
    ]
    return [[f"Warning: {one.text}" for one in client_warnings(m)] for m in records]


def _record(source: str, target: str, **changes) -> Migration:
    """A record of the named images."""
    ends = {"source": _place(source), "target": _place(target)}
    return migration(**ends, **changes)


def _place(text: str) -> Place:
    spec: ImageSpec = parse_image_spec(text, "rbd", "image")
    return Place(spec.pool, spec.namespace, spec.image, pool_id=sum(map(ord, spec.pool)))


def _missing_rows(command, lines: "list[str]") -> Iterator[str]:
    """Compare the rows with those of a record that has nothing but what all have."""
    shown = dict([*re.split("  +", line, maxsplit=1), ""][:2] for line in lines)
    if command.name == "status":
        state = State(shown["state"].split()[0])
        copied = state not in (State.QUEUED, State.PREPARING, State.PREPARED, State.EXECUTING)
        m = _record(
            shown["source"].split()[0],
            shown["target"].split()[0],
            state=state,
            goal=Goal(shown["goal"]),
            prepared_at=NOON,
            executed_at=NOON if copied else None,
            snapshots=0,
        )
        held = any(name.startswith("hold (") for name in shown)  # may say what comes next itself
        least = [
            line
            for line in command.show(report(m, Live())).splitlines()
            if not (held and line.startswith("next"))
        ]
    else:
        least = command.show({**PLAN, "next": "", "verify": "auto"}).splitlines()
    for line in least:
        name = re.split("  +", line)[0]
        if line[:1].islower() and name not in shown:
            yield f"it has no row {name!r}"
        elif line.startswith("  ") and line not in lines:
            yield f"it has no line {line.strip()!r}"
