"""The resources that each command accesses, which the capabilities of its caller have to cover.

This is the only such table, for the commands of the ``ceph`` CLI and for the routes of the REST
API. A route that is not a command is listed by its own name. ``doc/security.rst`` shows the table.
"""

import enum
from errno import EACCES
from typing import Dict, Tuple

from rbdmigrate.model.errors import MigrationError

from .command import Call


class Resource(enum.Enum):
    """The resources that a command reads or changes; comments name the code that checks them."""

    IMAGES = "the images that are given, and the pools for data and journal"  # Call.spec, _layout
    MIGRATION = "both ends, data pool and journal pool of the migration that is found"  # Lookup
    ONLY_VISIBLE = "migrations or plans: those that the caller may see"  # Migrations, PlanService
    GIVEN_PLAN = "every pool and namespace of the plan that is given"  # plans
    PLAN = "every pool and namespace of the plan that there is"  # PlanService
    CLUSTER = "settings of the whole cluster"  # require
    CLUSTER_OR_POOL = "settings of the pool that is named, or of the whole cluster"  # require
    KEYS = "API keys, which are good for all pools"  # require
    HOST = "the guests of the host that is named"  # require
    HOSTS = "agents of hosts, which are good for images of all pools"  # require
    HOOKS = "hooks, which are told of images of all pools"  # require
    NO_NAMES = "settings and numbers without names of images; of pools, those that are covered"


OF_COMMANDS: Dict[str, Tuple[Resource, ...]] = {
    "check": (Resource.IMAGES,),
    "prepare": (Resource.IMAGES, Resource.MIGRATION),
    "run": (Resource.IMAGES, Resource.MIGRATION),
    "execute": (Resource.MIGRATION,),
    "cutover": (Resource.MIGRATION,),
    "commit": (Resource.MIGRATION, Resource.PLAN),
    "abort": (Resource.MIGRATION,),
    "verify": (Resource.MIGRATION,),
    "set": (Resource.MIGRATION,),
    "pause": (Resource.MIGRATION, Resource.PLAN, Resource.ONLY_VISIBLE),
    "resume": (Resource.MIGRATION, Resource.PLAN, Resource.ONLY_VISIBLE),
    "retry": (Resource.MIGRATION, Resource.PLAN, Resource.ONLY_VISIBLE),
    "cancel": (Resource.MIGRATION, Resource.PLAN),
    "status": (Resource.MIGRATION, Resource.ONLY_VISIBLE),
    "ls": (Resource.ONLY_VISIBLE,),
    "history": (Resource.ONLY_VISIBLE,),
    "top": (Resource.ONLY_VISIBLE, Resource.NO_NAMES),
    "throttle get": (Resource.NO_NAMES,),
    "throttle set": (Resource.CLUSTER_OR_POOL,),
    "throttle clear": (Resource.CLUSTER_OR_POOL,),
    "window get": (Resource.NO_NAMES,),
    "window set": (Resource.CLUSTER,),
    "window clear": (Resource.CLUSTER,),
    "limit get": (Resource.NO_NAMES,),
    "limit set": (Resource.CLUSTER,),
    "plan create": (Resource.GIVEN_PLAN, Resource.PLAN),
    "plan apply": (Resource.GIVEN_PLAN, Resource.PLAN),
    "plan compare": (Resource.GIVEN_PLAN, Resource.PLAN),
    "plan check": (Resource.PLAN,),
    "plan ls": (Resource.ONLY_VISIBLE,),
    "plan show": (Resource.PLAN,),
    "plan report": (Resource.PLAN, Resource.ONLY_VISIBLE),
    "plan start": (Resource.PLAN,),
    "plan pause": (Resource.PLAN,),
    "plan resume": (Resource.PLAN,),
    "plan skip": (Resource.PLAN,),
    "plan cancel": (Resource.PLAN,),
    "plan rm": (Resource.PLAN,),
    "metrics": (Resource.NO_NAMES,),
    "clients": (Resource.ONLY_VISIBLE,),
    "agent poll": (Resource.HOST,),
    "agent ls": (Resource.NO_NAMES,),
    "agent rm": (Resource.HOSTS,),
    "hook add": (Resource.HOOKS,),
    "hook ls": (Resource.HOOKS,),
    "hook rm": (Resource.HOOKS,),
    "hook test": (Resource.HOOKS,),
    "hook done": (Resource.MIGRATION,),
    "api key create": (Resource.KEYS,),
    "api key ls": (Resource.KEYS,),
    "api key rm": (Resource.KEYS,),
}
# Routes that are not commands. Callers over HTTP have a permission for all pools.
OF_ROUTES: Dict[str, Tuple[Resource, ...]] = {
    "list": (Resource.ONLY_VISIBLE,),
    "history": (Resource.ONLY_VISIBLE,),
    "summary": (Resource.ONLY_VISIBLE, Resource.NO_NAMES),
    "throughput": (Resource.ONLY_VISIBLE, Resource.NO_NAMES),
    "bulk": (Resource.MIGRATION,),
    "pools": (Resource.ONLY_VISIBLE,),
    "images": (Resource.ONLY_VISIBLE,),
    "plan_read": (Resource.NO_NAMES,),
}


def require(name: str, call: Call) -> None:
    """Refuse a caller who may not access the settings or keys that a command is about.

    Access to other resources is checked where the command finds them. Raises
    MigrationError(EACCES).
    """
    accessed = OF_COMMANDS[name]
    if Resource.KEYS in accessed:
        call.access.require_unrestricted("API keys are")
    elif Resource.HOST in accessed and not call.speaks_for(call.text("host") or ""):
        raise MigrationError(
            EACCES, f"Your capabilities do not cover the host {call.text('host')}."
        )
    elif Resource.HOSTS in accessed:
        call.access.require_unrestricted("Agents are")
    elif Resource.HOOKS in accessed:
        call.access.require_unrestricted("Hooks are")
    elif Resource.CLUSTER in accessed:
        call.access.require_unrestricted("This setting is")
    elif Resource.CLUSTER_OR_POOL in accessed:
        pool = call.text("pool")
        if pool is None:
            call.access.require_unrestricted("Without --pool this setting is")
        else:
            call.access.require_pool(pool)
