"""Clients of the source: those that have it open, and those that cannot open the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from errno import EBUSY

from ..model.finding import Severity
from ..model.osd_caps import PoolPlace, covered, named
from ..model.watchers import source_in_use
from .facts import Facts, RbdClient
from .registry import IMAGE_METHODS, LIVE, Found, check

ABOUT_KEYS = frozenset({"CLIENTS_SOURCE_POOL", "CLIENTS_TARGET_POOL", "CLIENTS_CONFIG_KEY"})
"""Findings about keys of other clients, which are hidden from callers with rights to some pools
only.
"""

_SHOWN = 5  # clients with a finding each; the others are counted


@check(
    "SOURCE_IN_USE",
    Severity.ERROR,
    "Clients have the source open for writing; they are named, with the owner of the exclusive "
    "lock.",
    methods=LIVE,
    errno=EBUSY,
)
def in_use(facts: Facts) -> Iterator[Found]:
    """Yield the clients that have to be stopped."""
    users = facts.image.users if facts.image is not None else ()
    if users and not facts.clients_leave:
        source = facts.request.source
        yield Found(
            str(source),
            source_in_use(source, users, facts.guests),
            f"rbd status {source}",
        )


@check(
    "KERNEL_CLIENT",
    Severity.WARNING,
    "A kernel client (krbd) has the source mapped; it cannot map the target before the commit.",
    methods=LIVE,
    untested="needs the kernel's rbd module",
)
def kernel(facts: Facts) -> Iterator[Found]:
    """Yield kernel clients, recognised by their watches."""
    for user in facts.image.users if facts.image is not None else ():
        if user.kernel:
            yield Found(
                str(facts.request.source),
                f"client.{user.client} at {user.address} is a kernel client (krbd), which cannot "
                "map the target until the migration is committed.",
                f"rbd device unmap {facts.request.source}",
            )


@check(
    "CLIENTS_SOURCE_POOL",
    Severity.WARNING,
    "Keys of clients cover the target's pool but not the source's: they cannot open the target.",
    methods=LIVE,
)
def without_source_pool(facts: Facts) -> Iterator[Found]:
    """Yield keys that lack the source's pool.

    A client reads data that is not copied yet from the source, with its own key. Only keys whose
    capabilities name a pool are checked. librbd aborts the process of a client that may not read
    the source (16.2.15).
    """
    needed = _source_places(facts)
    lacking = _lacking(facts, _target_places(facts), needed)
    for client, places in lacking[:_SHOWN]:
        more = ", ".join(_grant("rbd-read-only", place) for place in places)
        command = client.command_adding("osd", more)
        yield Found(
            client.name,
            f"{client.name} may use {_listed(_target_places(facts))}, and not "
            f"{_listed(places)}, which the target reads until it is executed: a client with this "
            f"key fails or crashes when it opens the target before that; `{command}` allows it.",
            command,
        )
    yield from _others(lacking, f"not {_listed(needed)}")


@check(
    "CLIENTS_TARGET_POOL",
    Severity.WARNING,
    "Keys of clients cover the source's pool but not the target's.",
    methods=IMAGE_METHODS,
)
def without_target_pool(facts: Facts) -> Iterator[Found]:
    """Yield keys that lack the target's pool; whether they use this image is not known."""
    if facts.request.spec is not None:
        return
    needed = _target_places(facts)
    lacking = _lacking(facts, _source_places(facts)[:1], needed)
    for client, places in lacking[:_SHOWN]:
        had = named(client.osd, _source_places(facts)[0])
        only_read = all("rbd-read-only" in grant.text for grant in had)
        profile = "rbd-read-only" if only_read else "rbd"
        command = client.command_adding("osd", ", ".join(_grant(profile, p) for p in places))
        yield Found(
            client.name,
            f"{client.name} may use {_source_places(facts)[0]}, and not {_listed(places)}: if it "
            f"uses this image, it cannot open the target; `{command}` allows it.",
            command,
        )
    yield from _others(lacking, f"not {_listed(needed)}")


def _source_places(facts: Facts) -> list[PoolPlace]:
    """The pools that the target reads until it is executed, that of the source's header first."""
    source, image = facts.request.source, facts.image
    places = [PoolPlace(source.pool, source.namespace)] if source.pool else []
    if image is not None and image.data_pool:
        places.append(PoolPlace(image.data_pool, source.namespace))
    if image is not None and image.parent:
        pool, _, rest = image.parent.partition("/")
        places.append(PoolPlace(pool, rest.rpartition("/")[0]))
    return list(dict.fromkeys(places))


def _target_places(facts: Facts) -> list[PoolPlace]:
    """The pools of the target, that of its header first."""
    target = facts.request.target
    places = [PoolPlace(pool, target.namespace) for pool in (target.pool, facts.request.data_pool)]
    return list(dict.fromkeys(places))


def _lacking(
    facts: Facts, have: list[PoolPlace], need: list[PoolPlace]
) -> list[tuple[RbdClient, list[PoolPlace]]]:
    """The clients whose key names the first place of ``have``, and the places of ``need`` they
    lack.
    """
    found = []
    for client in facts.clients:
        if have and named(client.osd, have[0]):
            lacks = [place for place in need if not covered(client.osd, place)]
            if lacks:
                found.append((client, lacks))
    return found


def _others(lacking: list[tuple[RbdClient, list[PoolPlace]]], what: str) -> Iterator[Found]:
    more = len(lacking) - _SHOWN
    if more > 0:
        name = lacking[_SHOWN][0].name
        yield Found(name, f"{more} more keys, that of {name} among them, cover {what} either.")


def _grant(profile: str, place: PoolPlace) -> str:
    namespace = f" namespace={place.namespace}" if place.namespace else ""
    return f"profile {profile} pool={place.pool}{namespace}"


def _listed(places: Iterable[PoolPlace]) -> str:
    return " and ".join(str(place) for place in places)
