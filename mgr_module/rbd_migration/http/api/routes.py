"""All routes: the one table for both servers and the documentation."""

from .agent_routes import AGENT_ROUTES
from .history_routes import HISTORY_ROUTES
from .hook_routes import HOOK_ROUTES
from .migration_routes import MIGRATION_ROUTES
from .pace_routes import PACE_ROUTES
from .place_routes import PLACE_ROUTES
from .plan_routes import PLAN_ROUTES

ROUTES = (
    *MIGRATION_ROUTES,
    *HISTORY_ROUTES,
    *PACE_ROUTES,
    *PLAN_ROUTES,
    *AGENT_ROUTES,
    *HOOK_ROUTES,
    *PLACE_ROUTES,
)
BY_NAME = {route.name: route for route in ROUTES}
