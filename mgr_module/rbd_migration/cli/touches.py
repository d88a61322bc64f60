"""The resources that each command accesses, which the capabilities of its caller have to cover.

This is the only such table, for the commands of the ``ceph`` CLI and for the routes of the REST
API. A route that is not a command is listed by its own name. ``doc/security.rst`` shows the table.
"""

import enum
from errno import EACCES
from typing import Dict, Tuple

from rbdmigrate.model.errors import MigrationError

from .command import Call


class Touch(enum.Enum):
    """The resources that a command reads or changes; comments name the code that checks them."""

    IMAGES = "the images that are given, and the pools for data and journal"  # Call.spec, _layout
    MIGRATION = "both ends, data pool and journal pool of the migration that is found"  # Lookup
    SEEN = "migrations or plans: those that the caller may see"  # Migrations, PlanService
    GIVEN_PLAN = "every pool and namespace of the plan that is given"  # plans
    PLAN = "every pool and namespace of the plan that there is"  # PlanService
    CLUSTER = "settings of the whole cluster"  # require
    CLUSTER_OR_POOL = "settings of the pool that is named, or of the whole cluster"  # require
    KEYS = "API keys, which are good for all pools"  # require
    HOST = "the guests of the host that is named"  # require
    HOSTS = "agents of hosts, which are good for images of all pools"  # require
    HOOKS = "hooks, which are told of images of all pools"  # require
    NUMBERS = "settings and numbers without names of images; of pools, those that are covered"


TOUCHES: Dict[str, Tuple[Touch, ...]] = {
    "check": (Touch.IMAGES,),
    "prepare": (Touch.IMAGES, Touch.MIGRATION),
    "run": (Touch.IMAGES, Touch.MIGRATION),
    "execute": (Touch.MIGRATION,),
    "cutover": (Touch.MIGRATION,),
    "commit": (Touch.MIGRATION, Touch.PLAN),
    "abort": (Touch.MIGRATION,),
    "verify": (Touch.MIGRATION,),
    "set": (Touch.MIGRATION,),
    "pause": (Touch.MIGRATION, Touch.PLAN, Touch.SEEN),
    "resume": (Touch.MIGRATION, Touch.PLAN, Touch.SEEN),
    "retry": (Touch.MIGRATION, Touch.PLAN, Touch.SEEN),
    "cancel": (Touch.MIGRATION, Touch.PLAN),
    "status": (Touch.MIGRATION, Touch.SEEN),
    "ls": (Touch.SEEN,),
    "history": (Touch.SEEN,),
    "top": (Touch.SEEN, Touch.NUMBERS),
    "throttle get": (Touch.NUMBERS,),
    "throttle set": (Touch.CLUSTER_OR_POOL,),
    "throttle clear": (Touch.CLUSTER_OR_POOL,),
    "window get": (Touch.NUMBERS,),
    "window set": (Touch.CLUSTER,),
    "window clear": (Touch.CLUSTER,),
    "limit get": (Touch.NUMBERS,),
    "limit set": (Touch.CLUSTER,),
    "plan create": (Touch.GIVEN_PLAN, Touch.PLAN),
    "plan apply": (Touch.GIVEN_PLAN, Touch.PLAN),
    "plan compare": (Touch.GIVEN_PLAN, Touch.PLAN),
    "plan check": (Touch.PLAN,),
    "plan ls": (Touch.SEEN,),
    "plan show": (Touch.PLAN,),
    "plan report": (Touch.PLAN, Touch.SEEN),
    "plan start": (Touch.PLAN,),
    "plan pause": (Touch.PLAN,),
    "plan resume": (Touch.PLAN,),
    "plan skip": (Touch.PLAN,),
    "plan cancel": (Touch.PLAN,),
    "plan rm": (Touch.PLAN,),
    "metrics": (Touch.NUMBERS,),
    "clients": (Touch.SEEN,),
    "agent poll": (Touch.HOST,),
    "agent ls": (Touch.NUMBERS,),
    "agent rm": (Touch.HOSTS,),
    "hook add": (Touch.HOOKS,),
    "hook ls": (Touch.HOOKS,),
    "hook rm": (Touch.HOOKS,),
    "hook test": (Touch.HOOKS,),
    "hook done": (Touch.MIGRATION,),
    "api key create": (Touch.KEYS,),
    "api key ls": (Touch.KEYS,),
    "api key rm": (Touch.KEYS,),
}
# Routes that are not commands. Callers over HTTP have a permission for all pools.
ROUTES: Dict[str, Tuple[Touch, ...]] = {
    "list": (Touch.SEEN,),
    "history": (Touch.SEEN,),
    "summary": (Touch.SEEN, Touch.NUMBERS),
    "throughput": (Touch.SEEN, Touch.NUMBERS),
    "bulk": (Touch.MIGRATION,),
    "pools": (Touch.SEEN,),
    "images": (Touch.SEEN,),
    "plan_read": (Touch.NUMBERS,),
}


def require(name: str, call: Call) -> None:
    """Refuse a caller who may not access the settings or keys that a command is about.

    Access to other resources is checked where the command finds them. Raises
    MigrationError(EACCES).
    """
    touched = TOUCHES[name]
    if Touch.KEYS in touched:
        call.access.require_unrestricted("API keys are")
    elif Touch.HOST in touched and not call.speaks_for(call.text("host") or ""):
        raise MigrationError(
            EACCES, f"Your capabilities do not cover the host {call.text('host')}."
        )
    elif Touch.HOSTS in touched:
        call.access.require_unrestricted("Agents are")
    elif Touch.HOOKS in touched:
        call.access.require_unrestricted("Hooks are")
    elif Touch.CLUSTER in touched:
        call.access.require_unrestricted("This setting is")
    elif Touch.CLUSTER_OR_POOL in touched:
        pool = call.text("pool")
        if pool is None:
            call.access.require_unrestricted("Without --pool this setting is")
        else:
            call.access.require_pool(pool)
