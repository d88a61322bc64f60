"""A route: a request of the REST API, declared once for both servers and the documentation.

A route that names a ``command`` runs that command: its fields become the command's arguments.
"""

from dataclasses import dataclass
from typing import Any, Collection, Dict, Optional, Tuple

from .fields import Field

BASE = "/api/block/migration"
PERMISSIONS = ("read", "create", "update", "delete")
MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
_IMPORT_FIELDS = ("import_only", "source_spec", "inline_secrets", "as_raw", "checksum")

TARGET = Field(
    "target",
    "string",
    "Image spec of the target, `[pool/[namespace/]]image`, with / written as %2F.",
    required=True,
    example="nvme/vm1",
)
PLAN = Field("plan", "string", "The plan's name.", required=True, example="nvme-move")
HOOK = Field("hook", "string", "The hook's name.", required=True, example="proxmox")


@dataclass(frozen=True)
class Route:
    """A method on a path. ``permission`` is the dashboard's for the scope ``rbd-image``.

    ``answer`` are the fields of the answer, or of each of its items if ``many``. ``defaults`` are
    arguments of the command for fields that were left out. ``import_permission`` is required as
    well if the fields ask for an import. ``download``: the answer is a text in the format that the
    field ``export`` names, and a browser stores it in a file of this name.
    """

    name: str
    method: str
    path: str
    permission: str
    summary: str
    description: str
    answer: Tuple[Field, ...]
    query: Tuple[Field, ...] = ()
    body: Tuple[Field, ...] = ()
    command: str = ""
    defaults: Tuple[Tuple[str, Any], ...] = ()
    many: bool = False
    status: int = 200
    example: Optional[Dict[str, Any]] = None
    import_permission: str = ""
    download: str = ""

    def missing(self, args: Dict[str, Any], permissions: Collection[str]) -> str:
        """Return the permission that such a request needs and that is missing, or an empty text."""
        asks = any(args.get(name) not in (None, False) for name in _IMPORT_FIELDS)
        needed = self.import_permission if asks else ""
        return needed if needed not in permissions else ""

    @property
    def parameter(self) -> Optional[Field]:
        """The field in the path: a migration by its target, a plan, or a hook; None without one."""
        named = (field for field in (TARGET, PLAN, HOOK) if f"{{{field.name}}}" in self.path)
        return next(named, None)

    @property
    def url(self) -> str:
        """The path from the server's root."""
        return BASE + self.path
