"""The routes of pace: throttle, limits and the window of all copies."""

from dataclasses import replace

from . import cluster_schemas
from .fields import Field
from .route import Route

SIZE = "in bytes, or with a unit such as 4M"
RATE = Field("rate", "size", f"Bytes per second, {SIZE}; `off` is no limit.", example="50M")
_TIMEZONE = Field("timezone", "string", "Such as Europe/Berlin.")
_TEXT_POOL = Field("pool", "string", "A pool, instead of the whole cluster.")

PACE_ROUTES = (
    Route(
        name="throttle_get",
        method="GET",
        path="/throttle",
        permission="read",
        summary="Show the throttle",
        description="The command `ceph rbd migration throttle get`.",
        answer=cluster_schemas.THROTTLE,
        command="throttle get",
    ),
    Route(
        name="throttle_set",
        method="PUT",
        path="/throttle",
        permission="update",
        summary="Limit the bytes per second",
        description="The command `ceph rbd migration throttle set`: a rate or a timetable for all "
        "copies, a rate for those from or to a pool, or the factor of the latency guard.",
        answer=cluster_schemas.THROTTLE,
        body=(
            RATE,
            Field(
                "timetable",
                "string",
                "Rates over the week.",
                example="Mon-Fri 08:00,50M 18:00,off",
            ),
            _TIMEZONE,
            _TEXT_POOL,
            Field("guard", "string", "A factor from 1.05 to 100, or off.", example="1.5"),
        ),
        command="throttle set",
        example={"rate": "200M"},
    ),
    Route(
        name="throttle_clear",
        method="DELETE",
        path="/throttle",
        permission="update",
        summary="Remove a throttle",
        description="The command `ceph rbd migration throttle clear`.",
        answer=cluster_schemas.THROTTLE,
        query=(_TEXT_POOL,),
        command="throttle clear",
    ),
    Route(
        name="limit_get",
        method="GET",
        path="/limit",
        permission="read",
        summary="Show the limits",
        description="The command `ceph rbd migration limit get`.",
        answer=cluster_schemas.LIMITS,
        command="limit get",
    ),
    Route(
        name="limit_set",
        method="PUT",
        path="/limit",
        permission="update",
        summary="Limit how much happens at once",
        description="The command `ceph rbd migration limit set`; fields left out are not changed.",
        answer=cluster_schemas.LIMITS,
        body=tuple(
            replace(field, required=False, minimum=0, maximum=1 << 31)
            for field in cluster_schemas.LIMITS
        ),
        command="limit set",
        example={"max_copies": 4},
    ),
    Route(
        name="window_get",
        method="GET",
        path="/window",
        permission="read",
        summary="Show when copies may run",
        description="The command `ceph rbd migration window get`.",
        answer=cluster_schemas.WINDOW,
        command="window get",
    ),
    Route(
        name="window_set",
        method="PUT",
        path="/window",
        permission="update",
        summary="Let copies run only at certain times",
        description="The command `ceph rbd migration window set`.",
        answer=cluster_schemas.WINDOW,
        body=(
            Field("window", "string", "When copies may run.", example="Mon-Fri 20:00-06:00"),
            _TIMEZONE,
        ),
        command="window set",
        example={"window": "Mon-Fri 20:00-06:00, Sat-Sun"},
    ),
    Route(
        name="window_clear",
        method="DELETE",
        path="/window",
        permission="update",
        summary="Let copies run at any time",
        description="The command `ceph rbd migration window clear`.",
        answer=cluster_schemas.WINDOW,
        command="window clear",
    ),
)
