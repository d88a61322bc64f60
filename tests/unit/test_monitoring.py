"""The alert rules and the Grafana dashboard: they parse, and name only metrics that there are."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from qa.alerts.rules import RULES, impatient, rules
from rbdmigrate.control.health.warnings import Code

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "packaging" / "monitoring" / "rbd_migration_dashboard.json"


def queries():
    """The expressions of alerts and panels."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in panels for target in panel.get("targets", ())
    ]


def test_only_metrics_that_there_are_are_asked_for():
    with (ROOT / "doc" / "reference" / "metrics.csv").open(encoding="utf-8") as file:
        known = {row["metric"].strip("`") for row in csv.DictReader(file)}
    named = {name for query in queries() for name in re.findall(r"rbd_migration_(\w+)", query)}
    assert {name.removesuffix("_bucket") for name in named} <= known
    assert len(named) > 20


def test_every_health_warning_about_migrations_has_an_alert():
    text = " ".join(rule["expr"] for rule in rules())
    assert [code.name for code in Code if code.name not in text] == []


def test_alerts_say_what_to_do_and_lead_to_a_page_that_there_is():
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description", "documentation"}
        page = rule["annotations"]["documentation"].removesuffix(".html")
        assert (ROOT / "doc" / f"{page}.rst").is_file()
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_panels_do_not_overlap_and_have_numbers_of_their_own():
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        area = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not area & taken
        assert at["x"] + at["w"] <= 24
        taken |= area


def test_every_alert_is_tried():
    for file in (Path(__file__).parent / "alerts_test.yml", ROOT / "qa" / "alerts" / "troubles.py"):
        text = file.read_text(encoding="utf-8")
        assert [rule["alert"] for rule in rules() if rule["alert"] not in text] == []


def test_rules_are_shortened_and_stay_what_they_are():
    (group,) = yaml.safe_load(impatient())["groups"]
    for short, rule in zip(group["rules"], rules()):
        assert short["for"] == "1s"
        kept = {name: text for name, text in rule.items() if name not in ("expr", "for")}
        assert {name: short[name] for name in kept} == kept
        assert ("increase" in rule["expr"]) == (short["expr"] != rule["expr"])
    exprs = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    assert exprs["RBDMigrationRetriesOften"] == (
        "sum without (act) (increase(rbd_migration_retries_total[2m])) > 2"
    )


def test_alerts_fire_when_they_should(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = (Path(__file__).parent / "alerts_test.yml").read_text(encoding="utf-8")
    file = tmp_path / "alerts.yml"
    file.write_text(text.replace("RULES", str(RULES)), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
