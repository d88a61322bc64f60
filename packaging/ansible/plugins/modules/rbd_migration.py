#!/usr/bin/python
"""Migrate an RBD image live, or import a disk, with the ceph-mgr module rbd_migration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rbd_migration
short_description: Migrate an RBD image, or import a disk
description:
  - Begins a migration by the ceph-mgr module rbd_migration, changes its settings, carries it on, or aborts it.
  - It is idempotent. What was asked for before, and what is done already, changes nothing. A migration is done when the
    target is there and the history has its commit, or the source is gone.
  - The client of the image has to be stopped for the moment of the prepare, unless O(cutover) or O(method=warm) is given.
version_added: 0.1.0
options:
  source:
    description:
      - Image spec of the source, C([pool/[namespace/]]image); with O(import_only=true) C(image@snapshot).
      - Not needed for O(state=aborted), and not allowed with O(source_spec).
    type: str
  target:
    description: Image spec of the target. Without it the image is migrated in place, to a new O(layout).
    type: str
  state:
    description:
      - How far the migration is to go. One that is further, or has a further goal, is left as it is.
      - With V(aborted) a migration that is under way is aborted; one that has ended is left as it is.
    type: str
    choices: [prepared, executed, cut-over, verified, committed, aborted]
    default: committed
  layout:
    description: Layout options of the target, as C(rbd create) names them, for a new migration.
    type: dict
    suboptions:
      object_size: {type: str, description: Size of objects, such as 4M.}
      image_feature: {type: list, elements: str, description: Image features.}
      image_shared: {type: bool, description: Without the features that require a single writer.}
      stripe_unit: {type: str, description: Stripe unit, such as 64K.}
      stripe_count: {type: int, description: Stripe count.}
      data_pool: {type: str, description: The pool that takes the data.}
      journal_splay_width: {type: int, description: Number of active journal objects.}
      journal_object_size: {type: str, description: Size of the journal's objects.}
      journal_pool: {type: str, description: The pool that takes the journal.}
      flatten: {type: bool, description: Copy the data of a clone's parent.}
  method:
    description: How to copy, for a new migration.
    type: str
    choices: [live, copy, warm]
  cutover:
    description: How clients are made to leave the source of a warm migration, for a new one.
    type: str
    choices: [refuse, when-closed, agent, hook]
  max_pause: {type: str, description: How long a guest may be paused, such as 3s.}
  name_changes: {type: bool, description: Clients are known to find the image under its new name.}
  import_only: {type: bool, description: Read the source without changing it.}
  source_spec: {type: dict, description: The source-spec of an import, instead of O(source).}
  inline_secrets: {type: bool, description: Allow secrets of the source-spec in the image's header.}
  as_raw: {type: bool, description: Import the bytes of a file of another format as they are.}
  rate: {type: str, description: Limit in bytes per second, such as 50M; V(off) is no limit.}
  priority: {type: int, description: Higher goes first.}
  window: {type: str, description: When it may be copied, such as C(Sat-Sun); V(off) is always.}
  cutover_window: {type: str, description: When it may cut over; V(off) is always.}
  refresh_source:
    type: str
    description: >-
      How often its source is refreshed between cutover and commit, such as V(6h); V(off) is not by
      itself.
  verify:
    description: The verification before the commit; V(auto), for new migrations, depends on the image.
    type: str
    choices: [auto, none, sample, full]
  soak: {type: str, description: How long to wait between verification and commit, such as 30m.}
  paused: {type: bool, description: Whether it is paused. Without it that is left as it is.}
  force: {type: bool, default: false, description: Override a refusal; its message says what is at risk.}
  retry: {type: bool, default: false, description: Try a failed migration again.}
  wait: {type: bool, default: false, description: Wait until O(state) is reached.}
  wait_timeout: {type: int, default: 3600, description: Seconds for which to wait.}
  wait_interval: {type: int, default: 5, description: Seconds between two looks.}
extends_documentation_fragment: rbd_migration.ceph.rest
attributes:
  check_mode: {support: full, description: Runs the preflight checks of a new migration and changes nothing.}
  diff_mode: {support: full, description: Shows state, goal and settings before and after.}
author: rbd_migration (@rbd_migration)
"""

EXAMPLES = r"""
- name: Prepare the migration while the client is stopped
  rbd_migration.ceph.rbd_migration:
    url: https://192.0.2.1:8483
    key: "{{ migration_key }}"
    ca_path: /etc/ceph/rbd-migration.pem
    source: hdd/vm1
    target: nvme/vm1
    state: prepared
    wait: true

- name: Copy, compare and commit it, and wait for the end
  rbd_migration.ceph.rbd_migration:
    url: https://192.0.2.1:8483
    key: "{{ migration_key }}"
    source: hdd/vm1
    target: nvme/vm1
    verify: full
    rate: 100M
    wait: true

- name: Go back
  rbd_migration.ceph.rbd_migration:
    url: https://192.0.2.1:8483
    key: "{{ migration_key }}"
    target: nvme/vm1
    state: aborted
"""

RETURN = r"""
migration:
  description: The Report of the migration, as C(ceph rbd migration status --format json) shows it.
  returned: when there is one
  type: dict
  sample: {state: committed, source: hdd/vm1, target: nvme/vm1, percent: 100}
check:
  description: What the preflight checks found about a migration that would begin.
  returned: in check mode
  type: dict
"""

import time

from ansible_collections.rbd_migration.ceph.plugins.module_utils.rest import (
    OPTIONS,
    Api,
    Refusal,
    at,
)
from ansible_collections.rbd_migration.ceph.plugins.module_utils.task import Failed, run_task

GOALS = ("prepared", "executed", "cut-over", "verified", "committed")
# The goal that each state has reached; others have reached none.
REACHED = {
    "prepared": 0, "executing": 0, "executed": 1, "cutting-over": 1, "cut-over": 2, "verifying": 2,
    "verified": 3, "committing": 3, "committed": 4,
}  # fmt: skip
WISH = ("layout", "method", "cutover", "max_pause", "name_changes", "import_only", "source_spec",
        "inline_secrets", "as_raw")  # fmt: skip
SETTINGS = ("rate", "priority", "window", "cutover_window", "refresh_source", "verify", "soak")
MOVED = {"SOURCE_MISSING", "TARGET_EXISTS"}  # findings about an image that was moved before
SHOWN = ("state", "goal", "own_rate", "priority", "window", "verify", "soak_seconds", "paused")
TEXT = {"type": "str"}
FLAG = {"type": "bool"}
NUMBER = {"type": "int"}
LAYOUT = {
    "object_size": TEXT,
    "image_feature": {"type": "list", "elements": "str"},
    "image_shared": FLAG,
    "stripe_unit": TEXT,
    "stripe_count": NUMBER,
    "data_pool": TEXT,
    "journal_splay_width": NUMBER,
    "journal_object_size": TEXT,
    "journal_pool": TEXT,
    "flatten": FLAG,
}
ARGUMENTS = {
    **OPTIONS,
    "source": TEXT,
    "target": TEXT,
    "state": {"type": "str", "choices": [*GOALS, "aborted"], "default": "committed"},
    "layout": {"type": "dict", "options": LAYOUT},
    "method": {"type": "str", "choices": ["live", "copy", "warm"]},
    "cutover": {"type": "str", "choices": ["refuse", "when-closed", "agent", "hook"]},
    "max_pause": TEXT,
    "name_changes": FLAG,
    "import_only": FLAG,
    "source_spec": {"type": "dict", "no_log": True},
    "inline_secrets": FLAG,
    "as_raw": FLAG,
    "rate": TEXT,
    "priority": NUMBER,
    "window": TEXT,
    "cutover_window": TEXT,
    "refresh_source": TEXT,
    "verify": {"type": "str", "choices": ["auto", "none", "sample", "full"]},
    "soak": TEXT,
    "paused": FLAG,
    "force": {"type": "bool", "default": False},
    "retry": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 3600},
    "wait_interval": {"type": "int", "default": 5},
}


class Task:
    """One run of the module. ``report`` is the migration as it was last seen, None: there is none."""

    def __init__(self, module):
        self.params = module.params
        self.checks_only = module.check_mode
        self.api = Api(module.params)
        self.target = module.params["target"] or module.params["source"]
        self.result = {}
        self.before = self.report = self.api.find(at(self.target))
        self.changed = False

    def run(self):
        """Do what was asked for."""
        if self.params["state"] == "aborted":
            self.abort()
        elif self.report is None or self.begins_anew():
            self.begin()
        else:
            self.carry_on()
        if self.params["wait"] and not self.checks_only:
            self.wait()

    def answer(self):
        """Return what the task answers."""
        return self.result if self.report is None else {**self.result, "migration": self.report}

    def diff(self):
        """Return what the task changed."""
        return {"before": shown(self.before), "after": shown(self.report)}

    def abort(self):
        """Abort what is under way."""
        if self.report is None or ended(self.report) or self.report["goal"] == "aborted":
            return
        self.act("abort", {"force": self.params["force"]})

    def begins_anew(self):
        """Return whether the record is about a migration that has ended, and another is wanted."""
        state = self.report["state"]
        if not self.same_source():
            if ended(self.report):
                return True
            raise Failed(f"{self.target} is being made from {self.report['source']}.")
        if state != "committed":
            return state == "aborted"
        if self.in_place():
            return self.other_layout()
        return self.moved_back()

    def in_place(self):
        """Return whether the image keeps its name."""
        return self.params["target"] in (None, self.params["source"])

    def same_source(self):
        """Return whether the migration has the source that is given; an import's is not known."""
        source, known = self.params["source"], self.report["source"]
        if source is None:
            return self.params["source_spec"] is None or self.report["import_only"]
        if "/" not in source:  # of the default pool
            known = known.rpartition("/")[2]
        return source == known

    def moved_back(self):
        """Return whether the target of a committed migration is gone, and the source there again."""
        if self.params["source_spec"] is not None or self.params["import_only"]:
            return False
        return not self.codes() & {"SOURCE_MISSING", "TARGET_EXISTS"}

    def codes(self):
        """Return the codes of what the preflight checks find about source and target."""
        wish = {"source": self.params["source"], "target": self.params["target"]}
        return {one["code"] for one in self.api.post("/check", wish)["findings"]}

    def other_layout(self):
        """Return whether another layout is asked for than that of an ended migration in place."""
        known = layout_of(self.report)
        wanted = given(self.params["layout"] or {})
        return any(known.get(name) != plain_layout(name, v) for name, v in wanted.items())

    def begin(self):
        """Begin a migration, or in check mode look whether it can begin."""
        if not self.params["source"] and self.params["source_spec"] is None:
            raise Failed("There is no migration yet; give its source.")
        wish = given({name: self.params[name] for name in ("source", "target", *WISH)})
        if "layout" in wish:
            wish["layout"] = given(wish["layout"])
        if self.params["force"]:
            wish["force"] = True
        if self.checks_only:
            self.check(wish)
            return
        policy = given({name: self.params[name] for name in SETTINGS})
        body = {**wish, **policy, "goal": self.params["state"]}
        try:
            self.report = self.api.post("", body)
        except Refusal:
            if self.is_done():
                return
            raise
        self.changed = True

    def check(self, wish):
        """Run the preflight checks."""
        known = ("source", "target", "layout", "import_only", "source_spec", "inline_secrets",
                 "as_raw", "method", "force")  # fmt: skip
        asked = {name: value for name, value in wish.items() if name in known}
        found = self.api.post("/check", asked)
        self.result["check"] = found
        if {one["code"] for one in found["findings"]} >= MOVED:
            return
        errors = [one["message"] for one in found["findings"] if one["severity"] == "error"]
        if errors:
            raise Failed(" ".join(errors))
        self.changed = True

    def is_done(self):
        """Return whether the image was moved before, and the history has forgotten that."""
        if self.params["source_spec"] is not None or self.in_place():
            return False
        return self.codes() >= MOVED

    def carry_on(self):
        """Change the settings and the goal of what is under way, and pause or resume it."""
        if ended(self.report):
            return
        if self.report["state"] == "failed":
            if not self.params["retry"]:
                message = (self.report["failure"] or {}).get("message") or self.report["next"]
                raise Failed(f"{self.target} failed: {message}")
            self.act("retry", {})
        self.set()
        paused = self.params["paused"]
        if paused is not None and paused != self.report["paused"]:
            self.act("pause" if paused else "resume", {})

    def set(self):
        """Change settings that differ, and raise the goal."""
        body = {name: self.params[name] for name in SETTINGS if self.differs(name)}
        if self.goal_is_lower():
            body["goal"] = self.params["state"]
        if not body:
            return
        if self.checks_only:
            self.changed = True
            return
        before = shown(self.report)
        self.report = self.api.put(at(self.target), body)
        self.changed |= shown(self.report) != before

    def differs(self, name):
        """Return whether a setting is given, and is not known to be as the record says."""
        wanted, report = self.params[name], self.report
        if wanted is None or (name == "verify" and wanted == "auto"):
            return False
        if name == "rate":
            return rate(wanted) != report["own_rate"]
        if name == "soak":
            return seconds(wanted) != report["soak_seconds"]
        if name == "refresh_source":
            known = (report["reverse_rounds"] or {}).get("every_seconds") or 0
            return (0 if wanted == "off" else seconds(wanted)) != known
        if name == "cutover_window":
            known = (report["cutover"] or {}).get("window")
            return (None if wanted == "off" else wanted) != known
        if name == "window":
            return (None if wanted == "off" else wanted) != report["window"]
        return wanted != report[name]

    def goal_is_lower(self):
        """Return whether it does not go as far as it is to go."""
        goal, report = GOALS.index(self.params["state"]), self.report
        if report["goal"] == "aborted":
            raise Failed(f"{self.target} is being aborted.")
        return GOALS.index(report["goal"]) < goal and REACHED.get(report["state"], -1) < goal

    def act(self, name, body):
        """Send a request about the migration."""
        self.changed = True
        if not self.checks_only:
            self.report = self.api.post(f"{at(self.target)}/{name}", body)

    def wait(self):
        """Wait until the state is reached."""
        wanted = self.params["state"]
        until = time.monotonic() + self.params["wait_timeout"]
        while self.report is not None and not self.reached(wanted):
            state = self.report["state"]
            if state == "failed":
                raise Failed(f"{self.target} failed: {self.report['failure']['message']}")
            if ended(self.report):
                raise Failed(f"{self.target} is {state}, so it will not be {wanted}.")
            if time.monotonic() > until:
                raise Failed(f"{self.target} is {state} after {self.params['wait_timeout']} s.")
            time.sleep(self.params["wait_interval"])
            self.report = self.api.find(at(self.target))

    def reached(self, wanted):
        """Return whether the wanted state is reached."""
        state = self.report["state"]
        if wanted == "aborted":
            return ended(self.report)
        return REACHED.get(state, -1) >= GOALS.index(wanted)


def ended(report):
    """Return whether a migration is over."""
    return report["state"] in ("committed", "aborted")


def shown(report):
    """Return what a diff shows of a migration."""
    if report is None:
        return {}
    more = {
        "cutover_window": (report["cutover"] or {}).get("window"),
        "refresh_source": (report["reverse_rounds"] or {}).get("every_seconds"),
    }
    return {**{name: report[name] for name in SHOWN}, **more}


def given(options):
    """Return the options that have a value."""
    return {name: value for name, value in options.items() if value is not None}


def layout_of(report):
    """Return the layout of a Report under the names that requests use."""
    names = {"features": "image_feature", "shared": "image_shared"}
    return {names.get(name, name): value for name, value in report["layout"].items()}


def plain_layout(name, value):
    """Return a layout option as a Report has it."""
    return rate(value) if name in ("object_size", "stripe_unit", "journal_object_size") else value


def rate(text):
    """Return bytes of a text such as 50M; None for off, and the text where it is something else."""
    plain = str(text).strip().lower()
    if plain == "off":
        return None
    plain = plain[:-2] if plain.endswith("/s") else plain
    for ending in ("ib", "b"):
        plain = plain[: -len(ending)] if plain.endswith(ending) else plain
    shift = 10 * (1 + "kmgtpe".index(plain[-1])) if plain[-1:] in tuple("kmgtpe") else 0
    digits = plain[:-1].strip() if shift else plain
    return int(digits) << shift if digits.isdigit() else text


def seconds(text):
    """Return whole seconds of a text such as 30m, and the text where it is something else."""
    plain = str(text).strip().lower()
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(plain[-1:], 0)
    number = plain[:-1].strip() if unit else plain
    try:
        return int(float(number) * (unit or 1))
    except ValueError:
        return text


def main():
    """Run the module."""
    run_task(
        Task,
        ARGUMENTS,
        required_one_of=[("source", "target")],
        mutually_exclusive=[("source", "source_spec")],
    )


if __name__ == "__main__":
    main()
