"""Known faults of librbd in migrations: their releases, the images affected, and what to do.

One table, from which ``check`` warns and ``doc/reference/known-faults.csv`` is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..model.finding import Severity
from ..model.source_image import SourceImage
from ..model.states import Method
from ..model.verification import Verify
from .facts import Facts
from .registry import ALL, IMAGE_METHODS, IMPORT_METHODS, LIVE, Found, check, method_names

Meets = Callable[[Facts], bool]
_CODE = "RELEASE_BUG"
_OLDEST = 16  # the first release that this module supports


@dataclass(frozen=True)
class Fault:
    """A fault of librbd.

    ``reference``: its number in Ceph's tracker, or that of the pull request or advisory; empty:
    found by the tests of this module. ``what`` follows "In Ceph 18.2.7", ``avoid`` is a separate
    clause. ``images`` describes the images for which ``meets`` is true. ``fixed``: minor and patch
    that fixed it, by major release; earlier major releases that are not listed were not fixed.
    ``since``: the first major release that has it. ``reported``: the code of the check that warns.
    ``methods``: those that can meet it; by ``copy`` and ``warm`` librbd copies nothing itself.
    """

    reference: str
    images: str
    what: str
    avoid: str
    meets: Meets
    fixed: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    since: int = _OLDEST
    reported: str = _CODE
    methods: frozenset[Method] = LIVE

    def affects(self, release: tuple[int, int, int]) -> bool:
        """Whether a release has it; an unknown release (0, 0, 0) does not."""
        major, *rest = release
        if major < self.since:
            return False
        if major in self.fixed:
            return tuple(rest) < self.fixed[major]
        return not self.fixed or major < max(self.fixed)

    def releases(self) -> str:
        """The releases that have it, as text for people."""
        if not self.fixed:
            return f"{self.since} and later, not fixed"
        fixed = ", ".join(
            f"{major}.{minor}.{patch}" for major, (minor, patch) in sorted(self.fixed.items())
        )
        never = [m for m in range(self.since, max(self.fixed)) if m not in self.fixed]
        text = f"fixed in {fixed}"
        return text + (f"; not in {', '.join(map(str, never))}" if never else "")


def _snapshots(facts: Facts) -> bool:
    return facts.image is not None and bool(facts.image.snapshots)


def _differences(facts: Facts) -> bool:
    """Whether differences between snapshots are copied: the method warm takes some of its own."""
    return _snapshots(facts) or facts.request.method is Method.WARM


def _untrimmed(facts: Facts) -> bool:
    return facts.image is not None and facts.image.untrimmed is not None


def _mapped_clone(facts: Facts) -> bool:
    """Whether a clone with an object map is flattened: by --flatten, or by importing a snapshot."""
    image = facts.image
    if image is not None:
        return (
            bool(image.parent) and facts.request.layout.flatten and "object-map" in image.features
        )
    spec = facts.request.spec
    return spec is not None and spec.format == "native"


def _is_import(facts: Facts, kind: str) -> bool:
    spec = facts.request.spec
    return spec is not None and spec.format == kind


def _odd_raw(facts: Facts) -> bool:
    found = facts.inspection
    size = facts.request.layout.object_size or SourceImage().object_size
    return _is_import(facts, "raw") and found is not None and bool((found.size or 0) % size)


def _https(facts: Facts) -> bool:
    spec = facts.request.spec
    return spec is not None and any(s.url.startswith("https:") for _, s in spec.streams())


def _qcow(facts: Facts) -> bool:
    return _is_import(facts, "qcow")


def _qcow_snapshots(facts: Facts) -> bool:
    found = facts.inspection
    return _qcow(facts) and found is not None and bool(found.snapshots)


def _encrypted_import(facts: Facts) -> bool:
    found = facts.inspection
    return found is not None and any(f.code == "RAW_LUKS" for f in found.findings)


def _config_keys(facts: Facts) -> bool:
    spec = facts.request.spec
    return spec is not None and bool(spec.secrets() or spec.config_keys())


FAULTS: tuple[Fault, ...] = (
    Fault(
        reference="",
        images="images with snapshots, some newer ones of which were removed",
        what="data of the head and of kept snapshots become zeros while OSDs are still trimming a "
        "newer snapshot that was removed",
        avoid="the module waits until they have, and compares images with snapshots before the "
        "commit",
        meets=_untrimmed,
        reported="SNAPSHOTS_UNTRIMMED",
    ),
    Fault(
        reference="",
        images="images with fancy striping that were shrunk, of which snapshots were removed",
        what="whole objects become zeros while OSDs are still trimming a snapshot that was taken "
        "before the image was shrunk",
        avoid="the module waits until they have",
        meets=_untrimmed,
        fixed={18: (2, 7)},
        reported="SNAPSHOTS_UNTRIMMED",
    ),
    Fault(
        reference="",
        images="images and imports with snapshots",
        what="clients that read an object while it is copied may get its data as of a snapshot",
        avoid="start the clients when it is executed, or remove the snapshots before",
        meets=_snapshots,
        reported="READS_OF_OLD_DATA",
    ),
    Fault(
        reference="",
        images="images with an object map that lacks objects",
        what="data that a wrong object map lacks are neither copied nor compared",
        avoid="rebuild the map with `rbd object-map rebuild`, and set verify_trust_object_maps to "
        "false where maps may be wrong and are not flagged",
        meets=lambda facts: facts.image is not None and bool(facts.image.invalid_maps),
        reported="OBJECT_MAP_INVALID",
        methods=IMAGE_METHODS,
    ),
    Fault(
        reference="tracker 63770",
        images="images with snapshots, and all images by the method warm, that are not compared as "
        "a whole before the commit",
        what="a discard that truncates objects between two snapshots may be missed, so that the "
        "target has data that were discarded",
        avoid="have all of it compared before the commit (`--verify full`)",
        meets=lambda facts: _differences(facts) and facts.verify is not Verify.FULL,
        fixed={17: (2, 8), 18: (2, 4), 19: (2, 0)},
        methods=IMAGE_METHODS,
    ),
    Fault(
        reference="tracker 68998",
        images="clones with an object map that are flattened, and imports of a snapshot",
        what="flattening destroys data where the object map is wrong",
        avoid="leave out --flatten, or compare it before the commit (`--verify full`)",
        meets=_mapped_clone,
        fixed={18: (2, 5), 19: (2, 1)},
    ),
    Fault(
        reference="tracker 67845",
        images="raw sources whose size is not a multiple of the object size",
        what="a raw source is read past its end",
        avoid="make its size a multiple of the object size, as `truncate -s %4M FILE` does",
        meets=_odd_raw,
        fixed={17: (2, 8), 18: (2, 5), 19: (2, 1)},
    ),
    Fault(
        reference="pull request 61094",
        images="imports over https",
        what="clients, of the target too, crash or hang when they read from a server that closes "
        "connections",
        avoid="serve the source over http in a network that you trust, or from a file, and start "
        "clients when it is executed",
        meets=_https,
        fixed={18: (2, 5), 19: (2, 1)},
        reported="TLS_MAY_HANG_UP",
    ),
    Fault(
        reference="tracker 71838",
        images="qcow sources",
        what="reads of a qcow source recurse without limit, which can crash a client",
        avoid="start clients when it is executed, or convert the source with "
        "`qemu-img convert -O raw`",
        meets=_qcow,
        fixed={18: (2, 8), 19: (2, 3)},
    ),
    Fault(
        reference="tracker 67401",
        images="qcow sources with snapshots",
        what="changes in a qcow source since its last snapshot are reported incorrectly",
        avoid="compare it before the commit (`--verify full`), or convert the source with "
        "`qemu-img convert -O raw`",
        meets=_qcow_snapshots,
    ),
    Fault(
        reference="tracker 63184",
        images="raw sources that are encrypted with LUKS",
        what="clients may fail to load the encryption of a target that still reads from its source",
        avoid="start clients when it is executed",
        meets=_encrypted_import,
        fixed={18: (2, 5), 19: (2, 1)},
    ),
    Fault(
        reference="CVE-2026-50152",
        images="imports with secrets",
        what="clients can read the config-key store with the secrets of imports",
        avoid="upgrade, or change the secrets after the import",
        meets=_config_keys,
        fixed={20: (2, 4)},
        since=20,
        methods=IMPORT_METHODS,
    ),
)


@check(
    _CODE,
    Severity.WARNING,
    "This release of Ceph has a fault in migrations that this image or import could meet.",
    methods=ALL,
    untested="the faults depend on the release",
)
def faults(facts: Facts) -> Iterator[Found]:
    """Yield the faults that no other check reports."""
    version = ".".join(str(part) for part in facts.release)
    for fault in FAULTS:
        told = fault.reported == _CODE and facts.request.method in fault.methods
        if told and fault.affects(facts.release) and fault.meets(facts):
            yield Found(
                "ceph", f"In Ceph {version} {fault.what} ({fault.reference}); {fault.avoid}."
            )


def table() -> str:
    """Return the table as CSV, for the documentation."""
    rows = []
    for fault in FAULTS:
        reference = fault.reference or "own tests"
        columns = (
            fault.what,
            fault.images,
            fault.releases(),
            fault.avoid,
            method_names(fault.methods),
            fault.reported,
            reference,
        )
        rows.append(",".join(f'"{column}"' for column in columns))
    return "\n".join(rows) + "\n"
