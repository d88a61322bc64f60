"""The images that a plan selects from a listing, and the target of each. Pure."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from errno import EEXIST, EINVAL, ENOENT
from typing import Optional

from ...model.errors import MigrationError
from ...model.layout import LayoutOptions
from ...model.plan import MAX_ITEMS, Candidate, Definition, Item, Rule, Selector
from ...model.source_list import ListRead, SourceList
from ...model.source_spec import parse_source_spec
from ...model.spec import ImageSpec, parse_image_spec
from .patterns import Globs, compile_pattern
from .source_lists import ListedImport, imports_of

_FIELDS = ("pool", "namespace", "name", "index")
_LONGEST = 96  # characters of an image's name, as RBD_MAX_IMAGE_NAME_SIZE


def template_problem(template: str) -> str:
    """The problem of a template for names; empty when it is valid."""
    try:
        fields = [(field, more, how) for _, field, more, how in string.Formatter().parse(template)]
    except ValueError:
        return "has an unmatched brace"
    for field, more, how in fields:
        if field is not None and (field not in _FIELDS or more or how):
            return "has an unknown field"
    if "/" in template or "@" in template:
        return "holds '/' or '@', which RBD does not allow in names"
    return ""


def chosen(selector: Selector, there: Iterable[Candidate]) -> list[str]:
    """The names that a selector selects, in order."""
    fits = _name_test(selector)
    return sorted(image.name for image in there if fits(image.name) and _rest_fits(selector, image))


def _name_test(selector: Selector) -> Callable[[str], bool]:
    wanted = (
        compile_pattern(selector.regex, "regex").fits
        if selector.regex
        else Globs([selector.name]).fit
    )
    excluded = Globs(selector.exclude).fit
    return lambda name: wanted(name) and not excluded(name)


def pattern_problem(definition: Definition) -> str:
    """Why the plan's images can no longer be chosen, in one sentence; empty when they can.

    A stored plan may have expressions that an older version accepted.
    """
    for number, selector in enumerate(definition.select):
        try:
            if selector.regex:
                compile_pattern(selector.regex, f"select[{number}].regex in the plan")
        except MigrationError as error:
            return f"{error} `ceph rbd migration plan apply` changes the plan."
    return ""


def _rest_fits(selector: Selector, image: Candidate) -> bool:
    if selector.smallest is not None and image.size < selector.smallest:
        return False
    if selector.largest is not None and image.size > selector.largest:
        return False
    return not selector.label or image.label == selector.value


def mapped(rule: Rule, source: ImageSpec, index: int) -> ImageSpec:
    """Return the target of ``source``, the plan's ``index``-th image. MigrationError(EINVAL)."""
    name = rule.name.format(
        pool=source.pool, namespace=source.namespace, name=source.image, index=index
    )
    return _placed(rule, source, name)


def _placed(rule: Rule, source: ImageSpec, name: str) -> ImageSpec:
    """Return the image ``name`` where the rule puts ``source``. MigrationError(EINVAL)."""
    namespace = source.namespace if rule.namespace is None else rule.namespace
    pool = rule.pool or source.pool
    if not name:
        raise MigrationError(EINVAL, f"map.name makes an empty name of {source}; add {{name}}.")
    spec = "/".join(part for part in (pool, namespace, name) if part)
    target = parse_image_spec(spec, pool, f"target that map.name makes of {source},")
    if len(name) > _LONGEST:
        raise MigrationError(
            EINVAL, f"The name {name[:40]!r}... that map.name makes of {source} is too long."
        )
    return target


def unchanged(definition: Definition) -> str:
    """The path of the first part of the plan that would copy images onto themselves, unchanged.

    Empty when there is none.
    """
    rule = definition.rule
    if rule.layout != LayoutOptions():
        return ""
    for number, selector in enumerate(definition.select):
        if _keeps_place(rule, selector.pool, selector.namespace):
            return f"select[{number}]"
    for number, listed in enumerate(definition.images):
        source, target = listed.source, listed.target
        if source is None:
            continue
        mapped_here = target is None and _keeps_place(rule, source.pool, source.namespace)
        if mapped_here or target == source:
            return f"images[{number}]"
    return ""


def _keeps_place(rule: Rule, pool: str, namespace: str) -> bool:
    to_pool = rule.pool or pool
    to_namespace = namespace if rule.namespace is None else rule.namespace
    return rule.name == "{name}" and (to_pool, to_namespace) == (pool, namespace)


def _no_list(given: SourceList) -> ListRead:
    """Read none but those in the plan itself."""
    return ListRead("", rows=given.rows)


def choose(
    definition: Definition,
    there: Callable[[Selector], Iterable[Candidate]],
    ident: Callable[[], str],
    read: Callable[[SourceList], ListRead] = _no_list,
) -> list[Item]:
    """Return the items of a plan: images ``there`` that its selectors select, those that it lists,
    and what it gets when it has its lists ``read``.

    An image that several selectors select is taken once. Raises MigrationError for two images with
    the same target, for no image and for too many.
    """
    items: list[Item] = []
    known: dict[ImageSpec, None] = {}
    for selector in definition.select:
        for name in chosen(selector, there(selector)):
            known.setdefault(ImageSpec(selector.pool, selector.namespace, name))
    for listed in definition.images:
        if listed.source is not None:
            known.pop(listed.source, None)  # the listed entry takes precedence
    for source in known:
        items.append(Item(ident(), source, mapped(definition.rule, source, len(items) + 1)))
    for listed in definition.images:
        number = len(items) + 1
        if listed.source is not None:
            target = listed.target or mapped(definition.rule, listed.source, number)
            items.append(Item(ident(), listed.source, target, method=listed.method))
        elif listed.target is not None:
            label = parse_source_spec(listed.source_spec).label()
            source = ImageSpec("", "", label)
            items.append(
                Item(
                    ident(),
                    source,
                    listed.target,
                    listed.source_spec,
                    as_raw=listed.as_raw,
                    method=listed.method,
                )
            )
    for given in definition.lists:
        for found in imports_of(given, read(given)):
            items.append(_item_of(found, definition.rule, len(items) + 1, ident()))
    _refuse_bad(items)
    return items


def _item_of(found: ListedImport, rule: Rule, number: int, ident: str) -> Item:
    named = ImageSpec("", "", found.name)
    target = _placed(rule, named, found.target) if found.target else mapped(rule, named, number)
    return Item(
        ident,
        ImageSpec("", "", found.spec.label()),
        target,
        found.spec.to_json(),
        as_raw=found.as_raw,
        method=found.method,
    )


def _refuse_bad(items: Sequence[Item]) -> None:
    if not items:
        raise MigrationError(
            ENOENT, "No image fits the plan; check its `select` and `rbd ls` of the pools."
        )
    if len(items) > MAX_ITEMS:
        raise MigrationError(
            EINVAL, f"{len(items)} images fit the plan, more than {MAX_ITEMS}; make several plans."
        )
    targets: dict[ImageSpec, Item] = {}
    sources: dict[ImageSpec, Item] = {}
    for item in items:
        other = targets.setdefault(item.target, item)
        if other is not item:
            raise MigrationError(
                EEXIST,
                f"{other.source} and {item.source} would both go to {item.target}; put {{pool}} "
                "or {index} into map.name, or exclude one of them.",
            )
        same: Optional[Item] = None if item.source_spec else sources.setdefault(item.source, item)
        if same is not None and same is not item:
            raise MigrationError(
                EEXIST,
                f"{item.source} is listed twice, to {same.target} and to {item.target}; leave one "
                "out.",
            )
