"""The routes of the history: migrations that have ended."""

from dataclasses import replace

from . import report_schemas, schemas
from .fields import Field
from .migration_routes import SORT
from .route import Route

_CHOSEN = (
    Field("target", "string", "Only migrations to this image spec."),
    Field(
        "since", "string", "Only migrations that ended within this time, such as 7d.", example="7d"
    ),
    Field("search", "string", "A part of the source, target or id."),
    Field("state", "array", "Only migrations with one of these ends.", choices=schemas.ENDS),
    Field("pool", "string", "Only migrations from or to this pool."),
    Field("plan", "string", "Only migrations of this plan."),
)

HISTORY_ROUTES = (
    Route(
        name="history",
        method="GET",
        path="/history",
        permission="read",
        summary="List ended migrations",
        description="A page of the migrations that have ended, newest first unless sorted. The "
        "header `X-Total-Count` has the number of all.",
        answer=schemas.REPORT,
        query=(
            *_CHOSEN,
            replace(SORT, default="-ended"),
            Field("offset", "integer", "Number of migrations to skip.", default=0, minimum=0),
            Field(
                "limit",
                "integer",
                "Maximum number of migrations.",
                default=100,
                minimum=1,
                maximum=10000,
            ),
        ),
        many=True,
    ),
    Route(
        name="history_export",
        method="GET",
        path="/history/export",
        permission="read",
        summary="Export ended migrations",
        description="The command `ceph rbd migration history --export`, newest first.",
        answer=report_schemas.HISTORY_ROW,
        query=(
            *_CHOSEN,
            Field("limit", "integer", "Maximum number; 0 is no limit.", default=0, minimum=0),
            Field("export", "string", "The format.", default="json", choices=("json", "csv")),
        ),
        command="history",
        many=True,
        download="history",
    ),
)
