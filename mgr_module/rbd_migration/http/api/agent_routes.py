"""The routes about agents on hypervisor hosts, and the guests that they report."""

from .fields import Field, field
from .route import Route
from .schemas import time_field

_SEEN = time_field("seen", "When the agent last reported.", nullable=False)
_LOST = field("lost", "boolean", "That is so long ago that its guests are not known any more.")
CLIENT = (
    field("image", "string", "Image spec.", example="hdd/vm1"),
    field("host", "string", "The host of the guest.", example="pve3"),
    field("guest", "string", "The guest's name.", example="web-17"),
    field("guest_id", "string", "Its UUID."),
    field("status", "string", "QEMU's, such as `running` or `paused`.", example="running"),
    field("device", "string", "The guest's device."),
    field("obstacle", "string", "Why the disk cannot be exchanged.", nullable=True),
    _SEEN,
    _LOST,
)
AGENT = (
    field("host", "string", "The host.", example="pve3"),
    _SEEN,
    _LOST,
    field("version", "string", "The agent's version."),
    field("guests", "integer", "The number of guests on the host."),
    field("problems", "array", "A sentence for each guest that could not be asked."),
)

AGENT_ROUTES = (
    Route(
        name="clients",
        method="GET",
        path="/clients",
        permission="read",
        summary="List the guests that have images open",
        description="The command `ceph rbd migration clients`: what agents on hypervisor hosts "
        "reported to the manager that is active now.",
        answer=CLIENT,
        query=(
            Field("pool", "string", "Only images of this pool."),
            Field("image", "string", "Only this image, an image spec.", example="hdd/vm1"),
        ),
        command="clients",
        many=True,
    ),
    Route(
        name="agents",
        method="GET",
        path="/agents",
        permission="read",
        summary="List the agents on hypervisor hosts",
        description="The command `ceph rbd migration agent ls`.",
        answer=AGENT,
        command="agent ls",
        many=True,
    ),
)
