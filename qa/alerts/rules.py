"""The alert rules as these runs use them: the same expressions, with less patience.

What is changed, and nothing else: ``for`` becomes one second; a range of an ``increase`` becomes
two minutes, and its bound a 25th, at least 1. So an alert that waits for an hour fires soon.
"""

import re
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "packaging" / "monitoring" / "rbd_migration_alerts.yml"
_INCREASE = re.compile(r"(increase\([^\[]+)\[\w+\](.*) > (\d+)")


def rules() -> "list[dict[str, Any]]":
    """The rules of the package."""
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def impatient() -> str:
    """The rules as a file of Prometheus, with less patience."""
    found = [{**rule, "expr": _short(rule["expr"]), "for": "1s"} for rule in rules()]
    return yaml.safe_dump({"groups": [{"name": "rbd_migration", "rules": found}]})


def _short(expr: str) -> str:
    return _INCREASE.sub(lambda m: f"{m[1]}[2m]{m[2]} > {max(1, int(m[3]) // 25)}", expr)
