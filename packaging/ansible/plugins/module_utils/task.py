"""How the modules that change something run: what a task answers, and how it fails."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from .rest import Refusal, Unreachable


class Failed(Exception):
    """The task fails with this sentence."""


def run_task(make, arguments, **rules):
    """Run the task that ``make`` returns for the AnsibleModule of these arguments, and end.

    A task has the method ``run``, then ``changed``, and ``answer`` and ``diff``, which return dictionaries.
    ``rules``: of AnsibleModule, such as ``required_one_of``.
    """
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True, **rules)
    try:
        task = make(module)
        task.run()
    except (Refusal, Unreachable, Failed) as error:
        module.fail_json(msg=str(error), changed=False)
    module.exit_json(changed=task.changed, diff=task.diff(), **task.answer())
