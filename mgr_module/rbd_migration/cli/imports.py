"""The arguments of an import: its source-spec as text, from a file, or in the short form."""

from errno import EACCES, EINVAL, EPERM
from typing import Optional

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.references import refuse_references
from rbdmigrate.model.source_spec import SourceSpec, parse_source_spec
from rbdmigrate.model.spec import parse_image_spec
from rbdmigrate.model.states import Method
from rbdmigrate.model.stream_spec import with_checksum

from .command import Arg, Call

AUTO = "auto"  # in place of a method: the best one for the image
ARGS = (
    Arg("source_spec"),
    Arg("import_only", "CephBool"),
    Arg("inline_secrets", "CephBool"),
    Arg("as_raw", "CephBool"),
    Arg("checksum"),
    Arg("method"),
)


class Wanted:
    """The source and target of an import command. Raises MigrationError(EINVAL, EACCES, EPERM).

    As with plain ``rbd migration prepare --import-only``: with a source-spec the target is the only
    image that is named; without one the first argument names the snapshot of a native source.
    """

    def __init__(self, call: Call) -> None:
        text = call.text("source_spec")
        if text is not None and call.inbuf:
            raise MigrationError(
                EINVAL, "A source-spec is given with --source-spec and with -i; give one of them."
            )
        self.logged = text is not None
        text = text or call.inbuf
        self.inline = call.flag("inline_secrets")
        self.as_raw = call.flag("as_raw")
        self.method = method_of(call)
        if text:
            if call.text("target_image"):
                raise MigrationError(
                    EINVAL,
                    "Two images are named, but with a source-spec only the target is; leave the "
                    "first out.",
                )
            self.spec = parse_source_spec(text)
            self.target = call.spec("source_image", "target")
        else:
            self.spec = _native(call)
            self.target = call.spec("target_image", "target")
        checksum = call.text("checksum")
        if checksum is not None:
            self.spec = with_checksum(self.spec, checksum, "--checksum")
        if self.as_raw and self.spec.format != "raw":
            raise MigrationError(
                EINVAL,
                f"--as-raw is for sources of the type raw, and this one is {self.spec.format}; "
                "leave it out, or change the type.",
            )
        authorize(call, self.spec)
        refuse_forbidden(call, self.spec)


def asked(call: Call) -> bool:
    """Whether the command is an import. MigrationError(EINVAL) for options only imports have."""
    if call.flag("import_only"):
        return True
    for name in ("source_spec", "inline_secrets", "as_raw", "checksum"):
        if call.text(name):
            option = name.replace("_", "-")
            raise MigrationError(EINVAL, f"--{option} is for imports; add --import-only.")
    if method_of(call) is Method.COPY:
        raise MigrationError(EINVAL, "--method copy is for imports; add --import-only.")
    if call.inbuf:
        raise MigrationError(EINVAL, "-i is for the source-spec of imports; add --import-only.")
    return False


def method_of(call: Call) -> Optional[Method]:
    """Return the method that is asked for, None if none is or ``auto``. MigrationError(EINVAL)."""
    text = call.text("method")
    if text is None or text == AUTO:
        return None
    try:
        return Method(text)
    except ValueError:
        names = ", ".join(method.value for method in Method)
        raise MigrationError(EINVAL, f"--method is {names} or {AUTO}, not {text!r}.") from None


def _native(call: Call) -> SourceSpec:
    """Parse the short form: ``[pool/[namespace/]]image@snapshot`` and the target."""
    text = call.text("source_image") or ""
    image, at, snapshot = text.rpartition("@")
    if not call.text("target_image") or not at or not snapshot:
        raise MigrationError(
            EINVAL,
            "An import needs a source: give --source-spec JSON or -i FILE and the target, or "
            "IMAGE@SNAPSHOT and the target.",
        )
    place = parse_image_spec(image, call.engine.spec("x", "source").pool, "source")
    return SourceSpec(
        format="native",
        pool_name=place.pool,
        pool_namespace=place.namespace or None,
        image_name=place.image,
        snap_name=snapshot,
    )


def authorize(call: Call, spec: SourceSpec) -> None:
    """Refuse an image of this cluster that the caller may not read, for whom the manager reads it.

    Raises MigrationError(EACCES), and ENOENT for the id of a pool that does not exist.
    """
    if spec.format != "native" or spec.elsewhere:
        return
    pool = spec.pool_name
    if pool is None:
        pool = call.engine.pool_name(spec.pool_id or 0)
    if not call.authorized(pool, spec.pool_namespace or ""):
        raise MigrationError(EACCES, f"Your capabilities do not cover the source {spec.label()}.")


def refuse_forbidden(call: Call, spec: SourceSpec) -> None:
    """Refuse references to config-keys that are not open to imports. Raises MigrationError(EPERM).

    Not EACCES: the manager's message for that tells the user to look at the capabilities of the
    key.
    """
    refused = refuse_references(spec, call.options.settings.import_policy)
    if refused:
        raise MigrationError(EPERM, f"{refused}.")
