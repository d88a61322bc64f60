"""The command ``plan report``: what became of each image of a plan, for an auditor."""

import json
from dataclasses import fields
from errno import EINVAL
from typing import Union

from rbdmigrate.control.query import Query
from rbdmigrate.model.bounds import MAX_NUMBER
from rbdmigrate.model.errors import MigrationError

from . import history, plan_page, tables
from .command import Arg, Call, Command
from .plan_rows import PlanReport, ReportRow, figures, plan_report

_EXPORTS = ("json", "csv", "html")


def _report(call: Call) -> Union[PlanReport, str]:
    name, export = call.text("plan") or "", call.text("export")
    if export is not None and export not in _EXPORTS:
        raise MigrationError(
            EINVAL, f"--export {export!r} is not known; choose from {', '.join(_EXPORTS)}."
        )
    plan = call.engine.plans.get(name)
    every = Query(plan=name, ended=True, limit=MAX_NUMBER)
    _, reports = call.engine.listing.browse(every)
    made = plan_report(plan, reports)
    if export == "html":
        return plan_page.page(made)
    if export == "csv":
        names = [field.name for field in fields(ReportRow)]
        return history.as_csv([vars(row) for row in made.images], names)
    if export is None:
        return made
    # Neither asdict nor indent: they take seconds for 10,000 images.
    return json.dumps({**vars(made), "images": [vars(row) for row in made.images]})


def _show(found: Union[PlanReport, str]) -> str:
    if isinstance(found, str):
        return found
    rows = tables.table(["SOURCE", "TARGET", "PHASE", "ENDED", "TOOK", "DATA", "VERIFIED", "PAUSE"])
    for one in found.images:
        rows.add_row([one.source, one.target, one.phase, one.ended, *figures(one)])
    head = f"{found.plan}: {found.state}; started {found.started or 'never'}"
    return f"{head}\n{rows.get_string()}"


TABLE = (
    Command(
        "plan report",
        (Arg("plan", required=True), Arg("export")),
        "Report what became of each image of a plan, also as JSON, CSV or a page to print",
        "r",
        _report,
        _show,
    ),
)
