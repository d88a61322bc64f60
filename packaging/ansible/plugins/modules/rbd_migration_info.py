#!/usr/bin/python
"""Look at migrations and plans of the ceph-mgr module rbd_migration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rbd_migration_info
short_description: Look at migrations and plans
description:
  - Answers what the ceph-mgr module rbd_migration knows of migrations and plans. It changes nothing.
version_added: 0.1.0
options:
  gather:
    description:
      - V(migrations) are those under way, V(history) those that have ended, V(summary) the totals, V(plans) all plans.
    type: list
    elements: str
    choices: [summary, migrations, history, plans]
    default: [summary, migrations]
  target:
    description: Only the migration to this image spec.
    type: str
  plan:
    description: Only migrations of this plan; with V(plans) in O(gather) also the report of the plan.
    type: str
  pool:
    description: Only migrations under way from or to this pool.
    type: str
  states:
    description: Only migrations under way in one of these states.
    type: list
    elements: str
extends_documentation_fragment: rbd_migration.ceph.rest
attributes:
  check_mode: {support: full, description: It changes nothing.}
author: rbd_migration (@rbd_migration)
"""

EXAMPLES = r"""
- name: Which migrations failed
  rbd_migration.ceph.rbd_migration_info:
    url: https://192.0.2.1:8483
    key: "{{ migration_key }}"
    gather: [migrations]
    states: [failed]
  register: found
"""

RETURN = r"""
summary:
  description: Totals of all migrations.
  returned: when asked for
  type: dict
migrations:
  description: Reports of migrations under way.
  returned: when asked for
  type: list
  elements: dict
history:
  description: Rows of migrations that have ended, as C(ceph rbd migration history --export json) has them.
  returned: when asked for
  type: list
  elements: dict
plans:
  description: All plans.
  returned: when asked for
  type: list
  elements: dict
report:
  description: The report of the plan, as C(ceph rbd migration plan report --export json) has it.
  returned: with a plan, when plans are asked for
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.rbd_migration.ceph.plugins.module_utils.rest import (
    OPTIONS,
    Api,
    Refusal,
    Unreachable,
    plan_at,
)

PAGE = 1000  # migrations of one request
ARGUMENTS = {
    **OPTIONS,
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": ["summary", "migrations", "history", "plans"],
        "default": ["summary", "migrations"],
    },
    "target": {"type": "str"},
    "plan": {"type": "str"},
    "pool": {"type": "str"},
    "states": {"type": "list", "elements": "str"},
}


def migrations(api, params):
    """Return the Reports of all migrations under way that pass the filter."""
    query = {name: params[name] for name in ("plan", "pool") if params[name]}
    if params["states"]:
        query["state"] = ",".join(params["states"])
    found = []
    while True:
        page = api.get("", {**query, "limit": PAGE, "offset": len(found)})
        found += page
        if len(page) < PAGE:
            break
    return [one for one in found if params["target"] in (None, one["target"])]


def gathered(api, params):
    """Return what is asked for."""
    found = {}
    if "summary" in params["gather"]:
        found["summary"] = api.get("/summary")
    if "migrations" in params["gather"]:
        found["migrations"] = migrations(api, params)
    if "history" in params["gather"]:
        query = {name: params[name] for name in ("plan", "target") if params[name]}
        found["history"] = api.get("/history/export", query)
    if "plans" in params["gather"]:
        found["plans"] = api.get("/plan")
        if params["plan"]:
            found["report"] = api.get(f"{plan_at(params['plan'])}/report")
    return found


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = gathered(Api(module.params), module.params)
    except (Refusal, Unreachable) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
