"""Which health errors stop copies: those that concern storage, in the pools that they name."""

import csv
from pathlib import Path

import pytest

from rbdmigrate.control.pace.health_errors import (
    CONCERN_STORAGE,
    concern_storage,
    parse_error_codes,
    pools_of,
)
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.health import HealthError


def concerned(*codes, patterns=CONCERN_STORAGE):
    return [error.code for error in concern_storage(map(HealthError, codes), patterns)]


def test_the_documentation_lists_the_errors_that_count():
    table = Path(__file__).parents[2] / "doc" / "reference" / "health-errors.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = [tuple(cell.strip("`") for cell in row) for row in csv.reader(lines)]
    assert rows == [(code, f"{why[0].upper()}{why[1:]}.") for code, why in CONCERN_STORAGE.items()]


def test_errors_of_storage_stop_copies():
    codes = ["OSD_FULL", "OSD_UNREACHABLE", "PG_DAMAGED", "PG_RECOVERY_FULL", "MON_DISK_CRIT"]
    assert concerned(*codes) == codes


@pytest.mark.parametrize(
    "code",
    ["MGR_MODULE_ERROR", "MGR_DOWN", "MDS_ALL_DOWN", "FS_WITH_FAILED_MDS", "CEPHADM_STRAY_HOST",
     "UPGRADE_FAILED_PULL", "DAEMON_OLD_VERSION", "RBD_MIGRATION_FAILED", "DASHBOARD_DEBUG",
     "OSD_SCRUB_ERRORS"],
)  # fmt: skip
def test_other_errors_stop_nothing(code):
    assert concerned(code) == []


def test_an_administrator_chooses_which_errors_count():
    patterns = parse_error_codes("MGR_*, PG_?AMAGED ,!MGR_DOWN", "gate_health_errors")
    assert concerned("MGR_X", "MGR_DOWN", "PG_DAMAGED", "OSD_FULL", patterns=patterns) == [
        "MGR_X",
        "PG_DAMAGED",
    ]
    assert parse_error_codes(" ", "x") == ()


@pytest.mark.parametrize("text", ["osd_full", "OSD FULL", "[", "!", "!!A", "OSD;"])
def test_what_is_no_code_is_refused(text):
    with pytest.raises(MigrationError, match=r"gate_health_errors has .* give codes of"):
        parse_error_codes(text, "gate_health_errors")


def test_the_pools_of_damaged_placement_groups_are_known():
    one = "pg 2.1f is active+clean+inconsistent, acting [1,0]"
    other = "pg 14.0 is active+recovery_unfound+degraded, acting [1], 1 unfound"
    assert pools_of([one, other, one]) == {2, 14}
    assert pools_of([one, "48 more pgs are not shown"]) == frozenset()
    assert pools_of(["osd.1 is full"]) == frozenset()
    assert pools_of([]) == frozenset()
