"""Imports: whether this cluster, its release and its clients support them.

The source itself is checked by its inspection (``sources``).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from errno import EINVAL, EOPNOTSUPP

from ..model.finding import Severity
from ..model.layout import MAX_OBJECT_SIZE, MIN_OBJECT_SIZE
from ..model.osd_caps import may_use_images
from ..model.source_image import SourceImage
from ..model.source_spec import unsupported
from ..model.units import format_size
from .facts import Facts
from .registry import ALL, IMPORT_METHODS, LIVE, Found, check

_STREAMS = {"nbd": "Ceph 19.2.3 and 20"}
PREFIX = "rbd/migration/"  # of config-keys that hold secrets of this module


@check(
    "SOURCE_RELEASE",
    Severity.ERROR,
    "This release of Ceph cannot read such a source.",
    methods=IMPORT_METHODS,
    errno=EOPNOTSUPP,
)
def release(facts: Facts) -> Iterator[Found]:
    """Yield sources that librbd cannot read, or reads wrong."""
    spec, found = facts.request.spec, facts.inspection
    problem = None if spec is None else unsupported(spec)
    if problem:
        yield Found(str(facts.request.source), problem)
    for kind in () if found is None else found.unknown_streams:
        yield Found(
            str(facts.request.source),
            f"librbd on the host of the active manager does not know streams of type {kind}, which "
            f"came with {_STREAMS[kind]} (the cluster runs {_number(facts.release)}); update it "
            "there and on the hosts of the clients, or export the source to a file, HTTP or S3.",
        )


def _crashes_on_close(release: tuple[int, int, int]) -> bool:
    """Whether librbd of the release crashes or hangs when a server ends a connection."""
    return release < (18, 2, 5) or (19,) <= release < (19, 2, 1)


@check(
    "TLS_HANGS_UP",
    Severity.ERROR,
    "The https server closes connections, on which this release of librbd crashes or hangs.",
    methods=LIVE,
    errno=EOPNOTSUPP,
)
def tls_hangs_up(facts: Facts) -> Iterator[Found]:
    """Yield servers that close connections: a qcow prepare ends with SIGSEGV, raw clients hang
    (16.2.15).
    """
    for url in _closing(facts, "https"):
        yield Found(
            str(facts.request.source),
            f"The server of {url} closes the connection after an answer, and then librbd "
            f"{_number(facts.release)} crashes or hangs, in clients too (fixed in 18.2.5, 19.2.1 "
            "and 20); let the server keep connections open, give a URL with http://, or fetch the "
            "file and import that.",
            f"curl -fO {shlex.quote(url)}",
        )


@check(
    "TLS_MAY_HANG_UP",
    Severity.WARNING,
    "The source is read over https, and this release of librbd crashes when the server hangs up.",
    methods=LIVE,
)
def tls_may_hang_up(facts: Facts) -> Iterator[Found]:
    """Yield https servers, which close idle connections, and others after a number of requests."""
    spec, found = facts.request.spec, facts.inspection
    if spec is None or found is None or not _crashes_on_close(facts.release):
        return
    urls = [s.url for _, s in spec.streams() if s.url.startswith("https:")]
    urls = [url for url in urls if url not in found.hanging_up]
    if urls:
        yield Found(
            str(facts.request.source),
            f"librbd {_number(facts.release)} crashes or hangs when the server of {urls[0]} closes "
            "a connection, as servers do after a while without requests or after a number of them "
            "(fixed in 18.2.5, 19.2.1 and 20); raise the server's limits (keepalive_requests and "
            "keepalive_timeout in nginx), or give a URL with http://.",
        )


@check(
    "HTTP_HANGS_UP",
    Severity.ERROR,
    "The http server closes each connection, on which clients of this release crash.",
    methods=LIVE,
    errno=EOPNOTSUPP,
)
def http_hangs_up(facts: Facts) -> Iterator[Found]:
    """Yield http servers that announce to close connections: clients end with SIGSEGV (16.2.15)."""
    for url in _closing(facts, "http"):
        yield Found(
            str(facts.request.source),
            f"The server of {url} closes the connection after each answer (`Connection: close` "
            f"or HTTP/1.0), and then librbd {_number(facts.release)} crashes, in clients too; "
            "let the server keep connections open, or fetch the file and import that.",
            f"curl -fO {shlex.quote(url)}",
        )


def _closing(facts: Facts, scheme: str) -> list[str]:
    """The URLs whose servers close connections in a way on which librbd of the release crashes.

    With TLS that is any way; without it one that the server announces.
    """
    found = facts.inspection
    if found is None or not _crashes_on_close(facts.release):
        return []
    urls = found.hanging_up if scheme == "https" else found.announcing_close
    return [url for url in urls if url.startswith(f"{scheme}:")]


def _number(release: tuple[int, int, int]) -> str:
    return ".".join(map(str, release)) if any(release) else "of this cluster"


@check(
    "IMPORT_FLATTEN",
    Severity.ERROR,
    "--flatten was given for an import, whose target never has a parent in the end.",
    methods=ALL,
    errno=EINVAL,
)
def flatten(facts: Facts) -> Iterator[Found]:
    """Yield the option --flatten."""
    if facts.request.spec is not None and facts.request.layout.flatten:
        yield Found(
            str(facts.request.target),
            "--flatten is for images with a parent, and the target of an import never keeps one; "
            "leave it out.",
        )


@check(
    "RAW_SNAPSHOTS_ALIGNED",
    Severity.ERROR,
    "A raw source with snapshots has a size that is not a multiple of the target's object size.",
    methods=LIVE,
    errno=EINVAL,
)
def aligned(facts: Facts) -> Iterator[Found]:
    """Yield sizes with which librbd zeroes the last object, or fails clients' writes to it
    (16.2.15).
    """
    spec, found = facts.request.spec, facts.inspection
    if spec is None or found is None or found.size is None or spec.format != "raw":
        return
    size = facts.request.layout.object_size or SourceImage().object_size
    sizes = [found.size, *(snapshot.size for snapshot in found.snapshots)]
    if not found.snapshots or not any(number % size for number in sizes):
        return
    fits = min(number & -number for number in sizes if number)
    fits = min(fits, MAX_OBJECT_SIZE)
    remedy = f"--object-size {fits >> 10}K" if fits >= MIN_OBJECT_SIZE else "truncate -s %4M FILE"
    yield Found(
        str(facts.request.source),
        f"With snapshots, the sizes of a raw source ({', '.join(map(str, sizes[:3]))} bytes) must "
        f"be multiples of the object size of {format_size(size)}, because librbd loses the last "
        f"object otherwise; `{remedy}` makes them fit.",
        remedy,
    )


@check(
    "QCOW_SHRUNK",
    Severity.ERROR,
    "A QCOW disk was made smaller after a snapshot, and librbd would lose an object of it.",
    methods=LIVE,
    errno=EINVAL,
)
def shrunk(facts: Facts) -> Iterator[Found]:
    """Yield sizes with which librbd copies an object of all views as zeros (16.2.15)."""
    spec, found = facts.request.spec, facts.inspection
    if spec is None or found is None or not found.size or not found.cluster_size:
        return
    sizes = [*(snapshot.size for snapshot in found.snapshots), found.size]
    pairs = list(zip(sizes, sizes[1:]))
    size = facts.request.layout.object_size or SourceImage().object_size
    lost = [pair for pair in pairs if _loses_an_object(*pair, found.cluster_size, size)]
    if not lost:
        return
    while size >= MIN_OBJECT_SIZE and any(
        _loses_an_object(*pair, found.cluster_size, size) for pair in pairs
    ):
        size //= 2
    remedy = f"--object-size {size >> 10}K" if size >= MIN_OBJECT_SIZE else ""
    way = f"`{remedy}` avoids that" if remedy else "convert it, which leaves its snapshots behind"
    yield Found(
        str(facts.request.source),
        f"The disk was made smaller after a snapshot, from {lost[0][0]} to {lost[0][1]} bytes, and "
        f"librbd would copy the object at its end as zeros, in all snapshots; {way}.",
        remedy,
    )


def _loses_an_object(older: int, newer: int, cluster: int, size: int) -> bool:
    """Whether librbd loses the object in which both views end: the older one within a cluster, and
    the newer one in a cluster before that.
    """
    return (
        newer < older
        and newer // size == older // size
        and newer % size > 0
        and older % cluster > 0
        and newer <= older // cluster * cluster
    )


@check(
    "SECRETS_INLINE",
    Severity.WARNING,
    "The source's secrets will be in the target's header, "
    "where every client that reads the image sees them.",
    methods=IMPORT_METHODS,
)
def inline(facts: Facts) -> Iterator[Found]:
    """Yield the option --inline-secrets."""
    spec = facts.request.spec
    if spec is not None and facts.request.inline and spec.secrets():
        yield Found(
            str(facts.request.target),
            "With --inline-secrets the target's header holds the source's secrets until the "
            "commit: `rbd status` shows them to every client that may read the image.",
        )


@check(
    "SECRETS_LOGGED",
    Severity.WARNING,
    "Secrets were given in the command itself, which Ceph writes into its audit log.",
    methods=ALL,
)
def logged(facts: Facts) -> Iterator[Found]:
    """Yield secrets in the command: the audit log has commands, but not files of -i (16.2.15)."""
    spec = facts.request.spec
    if spec is not None and facts.request.logged and spec.secrets():
        yield Found(
            str(facts.request.source),
            "The source's secrets were given with --source-spec, so they are in the audit log of "
            "the cluster and in the history of the shell; change them, and give the source-spec "
            "with -i FILE.",
            "-i FILE",
        )


@check(
    "CLIENTS_CONFIG_KEY",
    Severity.WARNING,
    "Clients of the target's pool may not read the config-keys with the source's secrets.",
    methods=LIVE,
)
def config_key(facts: Facts) -> Iterator[Found]:
    """Yield clients without rights to the config-keys: the profile rbd has none (16.2.15)."""
    needed = _config_keys(facts)
    if not needed:
        return
    pool = facts.request.target.pool
    for client in facts.clients:
        if client.reads_config_keys or not may_use_images(client.osd, pool):
            continue
        more = ", ".join(f'allow command "config-key get" with key {text}' for text in needed)
        command = client.command_adding("mon", more)
        yield Found(
            client.name,
            f"{client.name} may use the target's pool but may not read the config-keys of the "
            f"source's secrets, so it cannot open the target until the import is executed; "
            f"`{command}` allows it.",
            command,
        )


def _config_keys(facts: Facts) -> list[str]:
    """The config-keys that clients of the target read, as named in capabilities."""
    spec = facts.request.spec
    if spec is None:
        return []
    ours = [f'prefix "{PREFIX}"'] if spec.secrets() and not facts.request.inline else []
    return ours + [f'"{key}"' for key in spec.config_keys()]


@check(
    "RAW_THICK",
    Severity.INFO,
    "A raw source is copied with its holes: every object of the target is written.",
    methods=LIVE,
)
def thick(facts: Facts) -> Iterator[Found]:
    """Yield raw sources, in which librbd does not recognise holes (16.2.15)."""
    spec, found = facts.request.spec, facts.inspection
    if spec is not None and spec.format == "raw" and found is not None and found.size:
        yield Found(
            str(facts.request.target),
            f"The target will take up all of its {format_size(found.size)}, because librbd copies "
            "the holes of raw sources as zeros; `rbd sparsify` gives the space back afterwards.",
            f"rbd sparsify {facts.request.target}",
        )
