"""The routes of pools and images, for forms in which one of them is named."""

from . import schemas
from .fields import Field
from .route import Route

PLACE_ROUTES = (
    Route(
        name="pools",
        method="GET",
        path="/pool",
        permission="read",
        summary="List the pools for RBD and their namespaces",
        description="A pool that does not answer is listed without its namespaces.",
        answer=schemas.POOLS,
        many=True,
    ),
    Route(
        name="images",
        method="GET",
        path="/image",
        permission="read",
        summary="List the names of images",
        description="Those of a pool or of a namespace in it, without opening any.",
        answer=schemas.IMAGES,
        query=(
            Field("pool", "string", "The pool.", required=True, example="hdd"),
            Field("namespace", "string", "A namespace of the pool."),
            Field("search", "string", "A part of the name."),
            Field("limit", "integer", "Maximum number.", default=100, minimum=1, maximum=1000),
        ),
    ),
)
