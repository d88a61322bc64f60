#!/usr/bin/python
"""Migrate many RBD images by a plan, with the ceph-mgr module rbd_migration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rbd_migration_plan
short_description: Migrate many RBD images by a plan
description:
  - Creates, changes, starts, pauses, cancels or removes a plan of the ceph-mgr module rbd_migration.
  - It is idempotent. A plan that is the same as the one given, or has ended with the same definition, is left as it is.
version_added: 0.1.0
options:
  definition:
    description: The plan, with the fields of a plan file. O(definition), O(file) or O(name) is needed.
    type: dict
  file:
    description: The text of a plan file (YAML or JSON), such as the result of the lookup C(file).
    type: str
  name:
    description: The plan's name, where it is not to be created or changed.
    type: str
  state:
    description:
      - V(present) creates the plan, or changes it; nothing begins.
      - V(started) also starts it, or resumes one that is paused.
      - V(paused) pauses one that runs. V(cancelled) cancels one that has not ended. V(absent) removes one that has ended or was
        not started.
    type: str
    choices: [present, started, paused, cancelled, absent]
    default: present
  force: {type: bool, default: false, description: Cancel migrations too to whose targets clients may have written.}
  wait: {type: bool, default: false, description: Wait until a plan that was started is done, or one is cancelled.}
  wait_timeout: {type: int, default: 86400, description: Seconds for which to wait.}
  wait_interval: {type: int, default: 10, description: Seconds between two looks.}
extends_documentation_fragment: rbd_migration.ceph.rest
attributes:
  check_mode: {support: full, description: Compares the plan with the one there is and changes nothing.}
  diff_mode: {support: full, description: Shows state and settings before and after.}
author: rbd_migration (@rbd_migration)
"""

EXAMPLES = r"""
- name: Move all images of a pool in waves of 20
  rbd_migration.ceph.rbd_migration_plan:
    url: https://192.0.2.1:8483
    key: "{{ migration_key }}"
    definition:
      plan: nvme-move
      select: [{pool: hdd, name: "vm-*"}]
      map: {target_pool: nvme}
      waves: {size: 20, stop_after_failures: 2}
      policy: {goal: committed, verify: sample}
    state: started
    wait: true

- name: Cancel it
  rbd_migration.ceph.rbd_migration_plan:
    url: https://192.0.2.1:8483
    key: "{{ migration_key }}"
    name: nvme-move
    state: cancelled
"""

RETURN = r"""
plan:
  description: The plan, as C(ceph rbd migration plan show --format json) shows it.
  returned: when there is one
  type: dict
  sample: {name: nvme-move, state: done, percent: 100}
"""

import time

from ansible_collections.rbd_migration.ceph.plugins.module_utils.rest import (
    OPTIONS,
    Api,
    plan_at,
)
from ansible_collections.rbd_migration.ceph.plugins.module_utils.task import Failed, run_task

ENDED = ("done", "done-with-failures", "cancelled")
UNDER_WAY = ("starting", "running")
SHOWN = ("state", "goal", "method", "verify", "priority", "rate_limit", "max_copies", "window",
         "wave_size", "stop_after_failures", "wait_seconds", "selects")  # fmt: skip
ARGUMENTS = {
    **OPTIONS,
    "definition": {"type": "dict"},
    "file": {"type": "str"},
    "name": {"type": "str"},
    "state": {
        "type": "str",
        "choices": ["present", "started", "paused", "cancelled", "absent"],
        "default": "present",
    },
    "force": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 86400},
    "wait_interval": {"type": "int", "default": 10},
}


class Task:
    """One run of the module. ``plan`` is as it was last seen, None: there is none."""

    def __init__(self, module):
        self.params = module.params
        self.checks_only = module.check_mode
        self.api = Api(module.params)
        self.body = {k: module.params[k] for k in ("definition", "file") if module.params[k]}
        compared = self.api.post("/plan/compare", self.body) if self.body else None
        self.same = compared is None or compared["same"]
        self.name = module.params["name"] if compared is None else compared["plan"]
        self.before = self.plan = self.api.find(plan_at(self.name))
        self.changed = False

    def run(self):
        """Do what was asked for."""
        {
            "present": self.present,
            "started": self.start,
            "paused": self.pause,
            "cancelled": self.cancel,
            "absent": self.remove,
        }[self.params["state"]]()
        if self.params["wait"] and not self.checks_only:
            self.wait()

    def answer(self):
        """Return what the task answers."""
        return {} if self.plan is None else {"plan": self.plan}

    def diff(self):
        """Return what the task changed."""
        return {"before": shown(self.before), "after": shown(self.plan)}

    def present(self):
        """Create or change it."""
        if self.same and self.plan is not None:
            return
        if not self.body:
            raise Failed(f"There is no plan {self.name!r}; give its definition or file.")
        self.changed = True
        if not self.checks_only:
            self.plan = self.api.put("/plan", self.body)

    def start(self):
        """Start or resume it."""
        again = not self.same  # one that has ended is made again
        self.present()
        state = "draft" if self.plan is None else self.plan["state"]
        if state == "stopped":
            raise Failed(f"The plan {self.name!r} has stopped. {self.plan['next']}")
        if state in ("draft", "paused") or (again and self.checks_only and state in ENDED):
            self.act("resume" if state == "paused" else "start")

    def pause(self):
        """Pause it where it runs."""
        self.present()
        if self.plan is not None and self.plan["state"] in UNDER_WAY:
            self.act("pause")

    def cancel(self):
        """Cancel it where it has not ended."""
        if self.plan is not None and self.plan["state"] not in (*ENDED, "cancelling"):
            self.act("cancel", {"force": self.params["force"]})

    def remove(self):
        """Remove it."""
        if self.plan is None:
            return
        if self.plan["state"] not in (*ENDED, "draft"):
            raise Failed(f"The plan {self.name!r} is {self.plan['state']}; cancel it first.")
        self.changed = True
        if not self.checks_only:
            self.api.delete(plan_at(self.name))
            self.plan = None

    def act(self, name, body=None):
        """Send a request about the plan."""
        self.changed = True
        if not self.checks_only:
            self.plan = self.api.post(f"{plan_at(self.name)}/{name}", body)

    def wait(self):
        """Wait for the end of a plan that was started or cancelled."""
        wanted = {"started": ("done",), "cancelled": ENDED}.get(self.params["state"])
        until = time.monotonic() + self.params["wait_timeout"]
        while wanted is not None and self.plan is not None and self.plan["state"] not in wanted:
            state = self.plan["state"]
            if state in (*ENDED, "stopped", "paused"):
                raise Failed(f"The plan {self.name!r} is {state}. {self.plan['next']}")
            if time.monotonic() > until:
                raise Failed(f"The plan {self.name!r} is {state} after the time to wait.")
            time.sleep(self.params["wait_interval"])
            self.plan = self.api.find(plan_at(self.name))


def shown(plan):
    """Return what a diff shows of a plan."""
    return {} if plan is None else {name: plan[name] for name in SHOWN}


def main():
    """Run the module."""
    run_task(
        Task,
        ARGUMENTS,
        required_one_of=[("definition", "file", "name")],
        mutually_exclusive=[("definition", "file", "name")],
    )


if __name__ == "__main__":
    main()
