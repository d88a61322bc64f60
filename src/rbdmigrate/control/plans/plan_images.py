"""Reading the images that a plan file lists: images of the cluster, and sources of imports."""

from __future__ import annotations

import json
from errno import EINVAL
from typing import Any, Optional

from ...model.errors import MigrationError
from ...model.plan import Listed
from ...model.source import CONFIG
from ...model.source_spec import SourceSpec, parse_source_spec
from ...model.spec import ImageSpec, parse_image_spec
from ...model.states import Method
from ...model.stream_spec import with_checksum
from .plan_fields import PlanObject, refuse

_OF_SOURCES = ("as_raw", "checksum")
_FIELDS = ("source", "target", "source_spec", *_OF_SOURCES, "method")
_IMAGE_METHODS = (Method.LIVE.value, Method.WARM.value)
_IMPORT_METHODS = tuple(method.value for method in Method)


def listed_image(value: Any, path: str, default_pool: str) -> Listed:
    """Return an entry of ``images``. Raises MigrationError(EINVAL)."""
    given = PlanObject(value, path, _FIELDS)
    target = _spec(given, "target", default_pool)
    if not given.has("source_spec"):
        source = _spec(given, "source", default_pool)
        if source is None:
            raise refuse(path, "has no source", "give source: pool/image, or source_spec")
        for name in _OF_SOURCES:
            if given.has(name):
                raise refuse(given.where(name), "is for a source_spec", "leave it out")
        return Listed(source, target, method=_method(given, _IMAGE_METHODS))
    if given.has("source"):
        raise refuse(
            given.where("source"), "is given together with source_spec", "give one of them"
        )
    if target is None:
        raise refuse(given.where("target"), "is missing", "name the image to create")
    plain = given.raw("source_spec")
    text = plain if isinstance(plain, str) else json.dumps(plain)
    spec = checked_spec(text, given.where("source_spec"))
    checksum = given.text("checksum")
    if checksum:
        spec = with_checksum(spec, checksum, f"{given.where('checksum')} in the plan")
    as_raw = given.flag("as_raw")
    if as_raw and spec.format != "raw":
        raise refuse(given.where("as_raw"), "is for a source_spec of the type raw", "leave it out")
    return Listed(None, target, spec.to_json(), as_raw, import_method(given, spec))


def _method(given: PlanObject, known: tuple[str, ...]) -> Optional[Method]:
    if not given.text("method"):
        return None
    return Method(given.choice("method", known, ""))


def import_method(given: PlanObject, spec: Optional[SourceSpec]) -> Optional[Method]:
    """Return the method that is given for a source, if it is known already; None: none is given.

    Raises MigrationError(EINVAL).
    """
    method = _method(given, _IMPORT_METHODS)
    whole = spec is not None and spec.is_image
    if method is Method.WARM and not whole:
        raise refuse(
            given.where("method"),
            "is warm, which is for images of this cluster and whole images of another one",
            "leave it out",
        )
    if method in (Method.LIVE, Method.COPY) and whole:
        raise refuse(
            given.where("method"),
            f"is {method.value}, which imports a snapshot, and the source is a whole image",
            "leave it out, or add snap_name to the source_spec",
        )
    if spec is not None and method is Method.LIVE and not spec.read_by_librbd:
        raise refuse(
            given.where("method"),
            f"is live, and librbd does not {spec.unknown_to_librbd}",
            "leave it out",
        )
    return method


def checked_spec(text: str, where: str) -> SourceSpec:
    """Return the source-spec of a text at ``where`` in a plan, which has no secrets.

    Raises MigrationError(EINVAL).
    """
    try:
        spec = parse_source_spec(text)
    except MigrationError as error:
        text = str(error).replace("The source-spec", f"{where} in the plan", 1)
        if text == str(error):
            text = f"{where}: {text}"
        raise MigrationError(EINVAL, text) from None
    for secret in spec.secrets():
        raise refuse(
            f"{where}.{secret}",
            "is a secret, which a plan must not contain",
            f"store it with `ceph config-key set KEY -i FILE` and give {CONFIG}KEY",
        )
    return spec


def _spec(given: PlanObject, name: str, default_pool: str) -> Optional[ImageSpec]:
    text = given.text(name)
    if not text:
        return None
    return parse_image_spec(text, default_pool, f"{given.where(name)} in the plan")
