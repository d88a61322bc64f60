"""The checks of the method warm: which apply, and what they find."""

from dataclasses import replace
from errno import EBUSY, EDQUOT, EEXIST, EINVAL, EOPNOTSUPP

import pytest

from rbdmigrate.checks import CHECKS, first_error, known_faults, run
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.obstacles import Obstacles, RemovedSnapshot
from rbdmigrate.model.pool import Pool
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.source_image import Snapshot
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Method
from rbdmigrate.model.untrimmed import Untrimmed
from rbdmigrate.model.verification import Verify
from rbdmigrate.model.watchers import Watcher
from tests.unit.test_checks import FEATURES, GOOD, LOCK, SOURCE, TARGET, RbdClient

CLIENT = Watcher(7, "10.0.0.5:0/1", lock=True)
KERNEL = replace(CLIENT, kernel=True, lock=False)
OTHER = ImageSpec("hdd", "", "other")
ABOUT_NAMES = {"TARGET_EXISTS", "SOURCE_MIGRATING", "SOURCE_IS_TARGET"}
NO_LOCK = frozenset({"layering"})
SNAPSHOTS = (Snapshot("monday"),)
LIVE_ONLY = {
    "SOURCE_IN_USE", "KERNEL_CLIENT", "CLIENTS_SOURCE_POOL", "SOURCE_HAS_CLONES",
    "READS_OF_OLD_DATA", "SNAPSHOTS_UNTRIMMED", "SOURCE_MIRRORED", "SOURCE_JOURNALING",
    "TRASH_NOT_LISTED", "SOURCE_IN_GROUP", "PARENT_ELSEWHERE", "SOURCE_FORMAT_1",
    "FORMAT_1_IN_PLACE",
}  # fmt: skip
WARM_ONLY = {
    "NO_EXCLUSIVE_LOCK", "SOURCE_STAYS_CLOSED", "SOURCE_OPEN", "NAME_CHANGES", "WARM_MIRRORED",
    "WARM_IN_USE",
    "WARM_JOURNALING",
    "WARM_IN_GROUP", "WARM_CLONES", "WARM_PARENT", "SNAPSHOT_LIMIT", "SOURCE_POOL_NEARFULL",
    "WARM_FORMAT_1",
}  # fmt: skip
IMPORTS_ONLY = {
    "SOURCE_RELEASE", "TLS_HANGS_UP", "TLS_MAY_HANG_UP", "HTTP_HANGS_UP",
    "RAW_SNAPSHOTS_ALIGNED", "QCOW_SHRUNK", "SECRETS_INLINE",
    "CLIENTS_CONFIG_KEY", "RAW_THICK",
}  # fmt: skip


def by_warm(facts=GOOD, **layout):
    wanted = MigrationRequest(SOURCE, TARGET, LayoutOptions(**layout)).by(Method.WARM)
    return replace(facts, request=wanted)


def image(facts=None, **changes):
    facts = by_warm() if facts is None else facts
    return replace(facts, image=replace(GOOD.image, **changes))


def pools(**changes):
    return {**GOOD.pools, **changes}


TABLE = [
    (by_warm(), [], 0),
    (image(users=(CLIENT,)), ["SOURCE_OPEN", "NAME_CHANGES"], 0),
    (image(by_warm(data_pool="nvme"), users=(CLIENT,)), ["SOURCE_OPEN"], 0),
    (
        replace(image(users=(CLIENT,)), cuts_over=True),
        ["WARM_IN_USE", "SOURCE_OPEN", "NAME_CHANGES"],
        EBUSY,
    ),
    (
        replace(image(users=(CLIENT,)), cuts_over=True, clients_leave=True),
        ["SOURCE_OPEN", "NAME_CHANGES"],
        0,
    ),
    (replace(by_warm(), cuts_over=True), [], 0),
    (image(users=(CLIENT,), features=NO_LOCK), ["NO_EXCLUSIVE_LOCK", "NAME_CHANGES"], EBUSY),
    (image(features=NO_LOCK), ["SOURCE_STAYS_CLOSED"], 0),
    (image(mirror_mode=0), ["WARM_MIRRORED"], EOPNOTSUPP),
    (image(mirror_mode=1, obstacles=Obstacles(mirroring=1)), ["MIRROR_SNAPSHOTS"], EBUSY),
    (image(obstacles=Obstacles(groups=("hdd/g@s",))), ["GROUP_SNAPSHOTS"], EBUSY),
    (
        image(obstacles=Obstacles(removed=(RemovedSnapshot("s", ("hdd/c",)),))),
        ["REMOVED_SNAPSHOTS_WITH_CLONES"],
        EBUSY,
    ),
    (image(obstacles=Obstacles(locks=(LOCK,))), ["SOURCE_LOCKED"], EBUSY),
    (image(features=FEATURES | {"journaling"}), ["WARM_JOURNALING"], EOPNOTSUPP),
    (
        by_warm(features=(*sorted(FEATURES), "journaling")),
        ["WARM_JOURNALING", "FEATURES_NEW"],
        EOPNOTSUPP,
    ),
    (image(group="1/g", group_spec="hdd/g"), ["WARM_IN_GROUP"], EOPNOTSUPP),
    (image(snapshots=SNAPSHOTS, clones=1, clone_names=("a/b",)), ["WARM_CLONES"], EOPNOTSUPP),
    (image(parent="old/base@s", parent_pool="old"), [], 0),
    (image(parent="old/base@s", parent_trashed=True), ["WARM_PARENT"], EOPNOTSUPP),
    (image(by_warm(flatten=True), parent="old/base@s", parent_pool="old"), [], 0),
    (
        image(by_warm(flatten=True), parent="a/b@c", luks="luks2", own_encryption=True),
        ["FLATTEN_ENCRYPTED", "SOURCE_ENCRYPTED"],
        EINVAL,
    ),
    (image(by_warm(flatten=True), parent="a/b@c", luks="luks2"), ["SOURCE_ENCRYPTED"], 0),
    (image(all_snapshot_count=4, snapshot_limit=7), [], 0),
    (image(all_snapshot_count=4, snapshot_limit=6), ["SNAPSHOT_LIMIT"], EDQUOT),
    (image(cache_dirty=True), ["CACHE_DIRTY"], EBUSY),
    (
        image(
            snapshots=SNAPSHOTS,
            untrimmed=Untrimmed("hdd", objects=1, looked=1, total=1),
        ),
        [],
        0,
    ),
    (replace(by_warm(), trash_of_users=True), [], 0),
    (
        replace(by_warm(), pools=pools(hdd=Pool("hdd", flags=frozenset({"nearfull"})))),
        ["SOURCE_POOL_NEARFULL"],
        0,
    ),
    (
        image(by_warm(features=("exclusive-lock",)), snapshots=(Snapshot("s", protected=True),)),
        ["PROTECTED_NEEDS_LAYERING", "FEATURES_LOST", "PROTECTED_SNAPSHOTS"],
        EINVAL,
    ),
    (
        replace(by_warm(), target=replace(GOOD.target, exists=True)),
        ["TARGET_EXISTS"],
        EEXIST,
    ),
    (
        replace(by_warm(), target=replace(GOOD.target, role="target", other=OTHER)),
        ["TARGET_EXISTS"],
        EEXIST,
    ),
    (
        replace(by_warm(), source=replace(GOOD.source, role="source", other=OTHER), image=None),
        ["SOURCE_MIGRATING"],
        EBUSY,
    ),
    (
        replace(
            by_warm(),
            source=replace(GOOD.source, exists=False, role="target", other=OTHER),
            image=None,
        ),
        ["SOURCE_IS_TARGET"],
        EBUSY,
    ),
]


@pytest.mark.parametrize(("facts", "found", "errno"), TABLE)
def test_what_is_found(facts, found, errno):
    findings = run(facts)
    assert [finding.code for finding in findings] == found
    error = first_error(findings)
    assert (0 if error is None else error.errno) == errno
    for finding in findings:
        if finding.severity is Severity.ERROR and finding.code not in ABOUT_NAMES:
            assert finding.remedy
            assert finding.remedy in finding.message or finding.code == "PROTECTED_NEEDS_LAYERING"


def test_each_check_says_which_methods_it_is_for():
    """The decision for each check, once more: those that are not named are for all methods."""
    of = {check.code: check.methods for check in CHECKS}
    for code, methods in of.items():
        assert (Method.WARM in methods) is (code not in LIVE_ONLY | IMPORTS_ONLY), code
        assert (Method.LIVE in methods) is (code not in WARM_ONLY), code
        if code in IMPORTS_ONLY:
            assert methods <= {Method.LIVE, Method.COPY}, code
    assert of.keys() >= LIVE_ONLY | WARM_ONLY | IMPORTS_ONLY


def test_what_librbd_alone_copies_wrong_is_no_finding_about_warm():
    warm = {fault.reported for fault in known_faults.FAULTS if Method.WARM in fault.methods}
    assert warm == {"OBJECT_MAP_INVALID", "RELEASE_BUG"}
    old = replace(by_warm(flatten=True), release=(16, 2, 15), verify=Verify.FULL)
    assert [f.code for f in run(image(old, parent="a/b@c", snapshots=SNAPSHOTS))] == []


def test_differences_of_its_own_snapshots_are_compared_as_a_whole_or_warned_of():
    for verify, told in ((Verify.NONE, True), (Verify.SAMPLE, True), (Verify.FULL, False)):
        facts = replace(by_warm(), release=(16, 2, 15), verify=verify)
        assert ("RELEASE_BUG" in [f.code for f in run(facts)]) is told


def test_a_source_in_place_needs_a_new_layout():
    wanted = MigrationRequest(SOURCE, SOURCE).by(Method.WARM)
    here = replace(GOOD, request=wanted, target=GOOD.source, pools={"hdd": Pool("hdd")})
    assert [f.code for f in run(here)] == ["NOTHING_CHANGES"]
    layout = LayoutOptions(object_size=1 << 20)
    assert run(replace(here, request=replace(wanted, layout=layout))) == []


def test_a_pool_that_is_near_full_is_named_once_in_place():
    wanted = MigrationRequest(SOURCE, SOURCE, LayoutOptions(object_size=1 << 20)).by(Method.WARM)
    full = {"hdd": Pool("hdd", flags=frozenset({"nearfull"}))}
    here = replace(GOOD, request=wanted, target=GOOD.source, pools=full)
    assert [f.code for f in run(here)] == ["POOL_NEARFULL"]


def test_a_kernel_client_notices_the_new_feature_only_when_it_maps_the_image_again():
    found, _ = run(image(users=(KERNEL,), features=NO_LOCK))
    assert found.remedy == "rbd device unmap hdd/disk"
    assert "`rbd feature enable hdd/disk exclusive-lock` before it is mapped again" in found.message


def test_a_clone_with_an_encryption_of_its_own_is_not_to_be_flattened():
    (found, _) = run(image(parent="a/b@c", luks="luks2", own_encryption=True))
    assert (found.code, found.remedy) == ("WARM_PARENT", "--method live")
    assert "--flatten" not in found.message


def test_keys_need_the_target_and_not_the_source():
    keys = [
        RbdClient("client.new", {"osd": "profile rbd pool=nvme"}),
        RbdClient("client.old", {"osd": "profile rbd pool=hdd"}),
    ]
    found = run(replace(by_warm(), clients=tuple(keys)))
    assert [(f.code, f.object) for f in found] == [("CLIENTS_TARGET_POOL", "client.old")]


def test_pools_that_may_hold_clones_hold_up_the_commit_alone():
    (found,) = run(image(snapshots=SNAPSHOTS, silent_pools=("cold",)))
    assert found.code == "POOLS_SILENT"
    assert "it is committed when they answer again" in found.message


@pytest.mark.parametrize(
    "spec",
    [
        '{"type": "raw", "stream": {"type": "file", "file_path": "/srv/a"}}',
        '{"type": "native", "pool_name": "hdd", "image_name": "a", "snap_name": "s"}',
    ],
)
def test_an_import_is_never_warm(spec):
    wanted = MigrationRequest(
        ImageSpec("hdd", "", "a"), TARGET, LayoutOptions(), parse_source_spec(spec)
    )
    with pytest.raises(MigrationError, match="leave out --method warm") as refused:
        wanted.by(Method.WARM)
    assert refused.value.errno == EINVAL


def test_an_image_may_be_warm_and_live_but_no_import():
    wanted = MigrationRequest(SOURCE, TARGET)
    assert wanted.method is Method.LIVE
    assert wanted.by(Method.WARM).method is Method.WARM
    assert wanted.by(Method.LIVE).method is Method.LIVE
    with pytest.raises(MigrationError, match="--method copy"):
        wanted.by(Method.COPY)
