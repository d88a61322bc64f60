"""Preflight's checks: what they find in facts, and that no facts make them fail."""

from dataclasses import replace
from errno import EACCES, EBUSY, EINVAL
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.checks import CHECKS, known_faults, refuse, run
from rbdmigrate.checks.facts import Facts, Name, RbdClient
from rbdmigrate.checks.registry import method_names
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.obstacles import AdvisoryLock, Obstacles, RemovedSnapshot
from rbdmigrate.model.osd_caps import PoolPlace, covered
from rbdmigrate.model.pool import Pool
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.source_image import InvalidMap, Snapshot, SourceImage
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Method
from rbdmigrate.model.untrimmed import Untrimmed
from rbdmigrate.model.verification import Verify
from rbdmigrate.model.watchers import Watcher
from tests.unit.builders import any_of
from tests.unit.builders import names as names_

SOURCE, TARGET = ImageSpec("hdd", "", "disk"), ImageSpec("nvme", "", "disk")
GiB = 1 << 30
LOCK = AdvisoryLock("a b", "client.7")
FEATURES = frozenset({"layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"})
GOOD = Facts(
    request=MigrationRequest(SOURCE, TARGET),
    pools={"hdd": Pool("hdd"), "nvme": Pool("nvme", max_avail=100 * GiB)},
    source=Name(Place("hdd", "", "disk", 1, "aa"), exists=True),
    target=Name(Place("nvme", "", "disk", 2)),
    image=SourceImage(size=10 * GiB, features=FEATURES, to_copy=GiB),
    release=(20, 2, 4),
    caps={"osd": "allow *"},
)


def codes(facts):
    return [finding.code for finding in run(facts)]


def pool(**changes):
    return {**GOOD.pools, "nvme": replace(GOOD.pools["nvme"], **changes)}


def image(**changes):
    return replace(GOOD, image=replace(GOOD.image, **changes))


def request(**layout):
    return replace(GOOD, request=MigrationRequest(SOURCE, TARGET, LayoutOptions(**layout)))


EC = {**GOOD.pools, "ec": Pool("ec", erasure=True, overwrites=False)}
TABLE = [
    (GOOD, []),
    (replace(GOOD, pools={**GOOD.pools, "nvme": None}), ["POOL_MISSING"]),
    (replace(GOOD, pools=pool(erasure=True, omap=False)), ["POOL_ERASURE_CODED"]),
    (replace(GOOD, pools=pool(erasure=True, omap=True)), []),
    (replace(GOOD, pools=pool(erasure=True, overwrites=False)), ["DATA_POOL_NO_OVERWRITES"]),
    (
        replace(GOOD, pools=pool(erasure=True, omap=False, overwrites=False)),
        ["POOL_ERASURE_CODED"],
    ),
    (replace(request(data_pool="ec"), pools=EC), ["DATA_POOL_NO_OVERWRITES"]),
    (replace(GOOD, pools=pool(flags=frozenset({"nearfull"}))), ["POOL_NEARFULL"]),
    (replace(GOOD, pools=pool(flags=frozenset({"full"}))), ["POOL_FULL"]),
    (replace(GOOD, pools=pool(max_avail=GiB - 1)), ["NO_SPACE"]),
    (replace(GOOD, pools=pool(max_avail=GiB)), ["SPACE_TIGHT"]),
    (replace(GOOD, pools=pool(max_avail=None)), []),
    (replace(GOOD, pools=pool(quota_bytes=2 * GiB, stored=GiB)), []),
    (replace(GOOD, pools=pool(quota_bytes=2 * GiB, stored=GiB + 1)), ["QUOTA_BYTES"]),
    (replace(GOOD, pools=pool(quota_objects=300, objects=44)), []),
    (replace(GOOD, pools=pool(quota_objects=300, objects=45)), ["QUOTA_OBJECTS"]),
    (image(to_copy=None), ["BYTES_UNKNOWN"]),
    (image(users=(Watcher(7, "10.0.0.5:0/1", kernel=True),)), ["SOURCE_IN_USE", "KERNEL_CLIENT"]),
    (
        image(snapshots=(Snapshot("s"),), clones=1, clone_names=("a/b",)),
        ["SOURCE_HAS_CLONES", "READS_OF_OLD_DATA"],
    ),
    (
        image(snapshots=(Snapshot("s"),), silent_pools=("cold",)),
        ["POOLS_SILENT", "READS_OF_OLD_DATA"],
    ),
    (image(snapshots=(Snapshot("s"),)), ["READS_OF_OLD_DATA"]),
    (image(untrimmed=Untrimmed("hdd", objects=1, looked=1, total=1)), ["SNAPSHOTS_UNTRIMMED"]),
    (image(invalid_maps=(InvalidMap("", ("object map invalid",)),)), ["OBJECT_MAP_INVALID"]),
    (image(data_pool="ec"), ["DATA_POOL_LOST"]),
    (image(data_pool="nvme"), []),
    (replace(image(data_pool="ec"), request=request(data_pool="hdd").request), []),
    (replace(GOOD, trash_of_users=True), ["TRASH_NOT_LISTED"]),
    (
        replace(GOOD, trash_of_users=True, source=replace(GOOD.source, old_format=True)),
        ["SOURCE_FORMAT_1"],  # it is not moved to the trash
    ),
    (image(obstacles=Obstacles(groups=("hdd/g@s",))), ["GROUP_SNAPSHOTS"]),
    (image(obstacles=Obstacles(mirroring=2), mirror_mode=1), ["MIRROR_SNAPSHOTS"]),
    (
        image(obstacles=Obstacles(removed=(RemovedSnapshot("s", ("hdd/c",)),))),
        ["REMOVED_SNAPSHOTS_WITH_CLONES"],
    ),
    (image(obstacles=Obstacles(locks=(LOCK,))), ["SOURCE_LOCKED"]),
    (image(cache_dirty=True), ["CACHE_DIRTY"]),
    (
        replace(
            image(parent="nvme/base@s", parent_pool="nvme", luks="luks2", own_encryption=True),
            request=request(flatten=True).request,
        ),
        ["FLATTEN_ENCRYPTED", "SOURCE_ENCRYPTED"],
    ),
    (request(stripe_unit=3 << 20, stripe_count=2), ["STRIPE_UNIT"]),
    (request(object_size=8 << 20, stripe_unit=8 << 20, stripe_count=2), []),
    (request(shared=True), ["FEATURES_LOST"]),
    (replace(GOOD, caps={"osd": "allow r"}), ["MANAGER_CAPS"]),
    (replace(GOOD, caps={}), []),
    (image(parent="old/base@s", parent_pool="old"), ["PARENT_ELSEWHERE"]),
]


@pytest.mark.parametrize(("facts", "found"), TABLE)
def test_what_is_found(facts, found):
    assert codes(facts) == found


def test_each_obstacle_names_the_command_that_resolves_it():
    facts = image(
        obstacles=Obstacles(
            groups=("hdd/g@s",),
            mirroring=1,
            removed=(RemovedSnapshot("old", ("hdd/c",)),),
            locks=(LOCK,),
        )
    )
    assert [finding.remedy for finding in run(facts)] == [
        "rbd group snap rm hdd/g@s",
        "rbd mirror image disable hdd/disk",
        "rbd flatten hdd/c",
        "rbd lock rm hdd/disk 'a b' client.7",
    ]
    for finding in run(facts):
        assert f"`{finding.remedy}`" in finding.message
        assert finding.errno == EBUSY


def test_flattening_needs_no_parent():
    facts = image(parent="old/base@s", parent_pool="old")
    assert codes(replace(facts, request=request(flatten=True).request)) == []


def test_in_place_the_name_is_its_own():
    place = replace(GOOD.source, exists=True)
    layout = LayoutOptions(object_size=1 << 20)
    facts = replace(GOOD, request=MigrationRequest(SOURCE, SOURCE, layout), target=place)
    assert codes(replace(facts, pools={"hdd": Pool("hdd", max_avail=100 * GiB)})) == []


def test_an_image_is_copied_onto_itself_only_with_a_new_layout_or_by_force():
    own = replace(GOOD, target=GOOD.source, pools={"hdd": Pool("hdd", max_avail=100 * GiB)})
    plain = MigrationRequest(SOURCE, SOURCE)
    for facts, found in (
        (plain, ["NOTHING_CHANGES"]),
        (replace(plain, force=True), []),
        (replace(plain, layout=LayoutOptions(object_size=1 << 20)), []),
    ):
        assert codes(replace(own, request=facts)) == found
    with pytest.raises(MigrationError, match="give a target or a layout option"):
        refuse(run(replace(own, request=plain)))
    flat = replace(plain, layout=LayoutOptions(flatten=True))
    assert "NOTHING_CHANGES" not in codes(replace(own, request=flat))


def test_errors_come_first_and_the_first_refuses():
    facts = replace(image(mirror_mode=1, to_copy=GiB), pools=pool(max_avail=1))
    findings = run(facts)
    assert [f.severity for f in findings] == [Severity.ERROR, Severity.WARNING]
    with pytest.raises(MigrationError, match="have to be copied"):
        refuse(findings)


def test_warnings_refuse_nothing():
    refuse(run(image(mirror_mode=1)))


def test_a_known_fault_is_told_until_the_release_that_fixed_it():
    wanted = {
        (16, 2, 15): True,
        (17, 2, 7): True,
        (17, 2, 8): False,
        (18, 2, 3): True,
        (18, 2, 4): False,
        (19, 2, 0): False,
        (20, 2, 4): False,
        (0, 0, 0): False,
    }
    facts = image(snapshots=(Snapshot("s"),))
    for release, told in wanted.items():
        assert ("RELEASE_BUG" in codes(replace(facts, release=release))) is told, release


def test_missed_discards_are_no_warning_where_everything_is_compared_before_the_commit():
    facts = replace(image(snapshots=(Snapshot("s"),)), release=(16, 2, 15))
    for verify, told in ((Verify.NONE, True), (Verify.SAMPLE, True), (Verify.FULL, False)):
        assert ("RELEASE_BUG" in codes(replace(facts, verify=verify))) is told, verify


def test_only_images_that_meet_a_fault_are_warned_of_it():
    flattened = request(flatten=True).request
    for parent, features, told in [
        ("old/base@s", FEATURES, True),
        ("", FEATURES, False),
        ("old/base@s", frozenset({"layering"}), False),
    ]:
        facts = replace(
            image(parent=parent, features=features), request=flattened, release=(16, 2, 15)
        )
        found = [f.message for f in run(facts) if f.code == "RELEASE_BUG"]
        assert bool(found) is told
        assert all("flattening destroys data" in message for message in found)


def test_a_fault_that_is_not_fixed_meets_every_release():
    for fault in known_faults.FAULTS:
        if not fault.fixed:
            assert fault.affects((fault.since, 2, 0))
            assert fault.affects((99, 0, 0))
        assert not fault.affects((fault.since - 1, 9, 9))


def test_each_fault_is_reported_by_a_check_that_there_is():
    assert {fault.reported for fault in known_faults.FAULTS} <= {c.code for c in CHECKS}


def test_the_documentation_has_the_table_of_known_faults():
    page = Path(__file__).parents[2] / "doc" / "reference" / "known-faults.csv"
    assert page.read_text("utf-8") == known_faults.table()


def test_declarations():
    assert len({c.code for c in CHECKS}) == len(CHECKS)
    for c in CHECKS:
        assert c.code == c.code.upper()
        assert c.meaning.endswith(".")
        assert bool(c.errno) is (c.severity is Severity.ERROR)
        assert c.methods
    assert {EACCES, EINVAL} <= {c.errno for c in CHECKS}


layouts = st.builds(
    LayoutOptions,
    object_size=st.none() | st.sampled_from([4096, 4 << 20]),
    features=st.none() | st.tuples(st.sampled_from(sorted(FEATURES))),
    shared=st.booleans(),
    stripe_unit=st.none() | st.integers(512, 1 << 25),
    data_pool=st.none() | st.sampled_from(["hdd", "ec"]),
    flatten=st.booleans(),
)
specs = st.builds(ImageSpec, st.sampled_from(["hdd", "nvme"]), st.just(""), st.just("disk"))
pools = st.builds(
    Pool,
    name=st.just("p"),
    application=st.booleans(),
    erasure=st.booleans(),
    overwrites=st.booleans(),
    flags=st.frozensets(st.sampled_from(["full", "nearfull", "full_quota"])),
    quota_bytes=st.integers(0, 1 << 50),
    quota_objects=st.integers(0, 1 << 30),
    stored=st.integers(0, 1 << 50),
    objects=st.integers(0, 1 << 30),
    max_avail=st.none() | st.integers(0, 1 << 50),
)
names = st.builds(
    Name,
    place=any_of(Place),
    exists=st.booleans(),
    role=st.sampled_from(["", "source", "target"]),
    other=st.none() | specs,
    reserved_for=st.none() | specs,
    trashed=st.sampled_from(["", "aa"]),
    old_format=st.booleans(),
)
snapshots = st.builds(Snapshot, names_, st.booleans())
keys = st.builds(
    RbdClient,
    st.just("client.x"),
    st.dictionaries(
        st.sampled_from(["mon", "osd"]),
        st.sampled_from(["profile rbd pool=hdd", "allow rwx pool=nvme", "allow *", "'"]),
    ),
)
users = st.builds(Watcher, st.integers(0), st.just("10.0.0.5:0/1"), st.booleans(), st.booleans())
images = st.builds(
    SourceImage,
    size=st.integers(0, 1 << 62),
    object_size=st.sampled_from([4096, 4 << 20]),
    features=st.frozensets(st.sampled_from(sorted(FEATURES))),
    snapshots=st.lists(snapshots, max_size=2).map(tuple),
    clones=st.integers(0, 1 << 32),
    clone_names=st.lists(names_, max_size=5).map(tuple),
    silent_pools=st.lists(names_, max_size=7).map(tuple),
    users=st.lists(users, max_size=2).map(tuple),
    group=st.sampled_from(["", "1/g"]),
    mirror_mode=st.none() | st.integers(0, 1),
    luks=st.sampled_from(["", "luks1"]),
    parent=st.sampled_from(["", "a/b@c"]),
    parent_pool=st.sampled_from(["", "a"]),
    to_copy=st.none() | st.integers(0, 1 << 62),
    untrimmed=st.none() | st.just(Untrimmed("hdd", 1, 1, 2)),
    obstacles=st.sampled_from(
        [Obstacles(), Obstacles(("hdd/g@s",), 2, (RemovedSnapshot("s"),), (LOCK, LOCK))]
    ),
    invalid_maps=st.lists(
        st.builds(InvalidMap, names_, st.just(("fast diff invalid",))), max_size=7
    ).map(tuple),
    data_pool=st.sampled_from(["", "hdd", "ec"]),
    group_spec=st.sampled_from(["", "hdd/g"]),
    own_encryption=st.booleans(),
    cache_dirty=st.booleans(),
    all_snapshot_count=st.integers(0, 9),
    snapshot_limit=st.none() | st.integers(0, 9),
)
requests = st.builds(
    MigrationRequest, specs, specs, layouts, asked_method=st.none() | st.just(Method.WARM)
)


@given(
    st.builds(
        Facts,
        request=requests,
        pools=st.fixed_dictionaries({p: st.none() | pools for p in ("hdd", "nvme", "ec")}),
        missing_namespaces=st.frozensets(st.tuples(st.just("hdd"), st.just("ns"))),
        source=st.none() | names,
        target=st.none() | names,
        image=st.none() | images,
        release=st.tuples(*[st.integers(0, 30)] * 3),
        caps=st.dictionaries(st.sampled_from(["osd", "mon"]), names_),
        clients=st.lists(keys, max_size=7).map(tuple),
        trash_of_users=st.booleans(),
    )
)
def test_no_facts_make_a_check_fail(facts):
    for finding in run(facts):
        assert finding.message.endswith(".")
        assert "\n" not in finding.message


def test_the_documentation_lists_every_check():
    table = (Path(__file__).parents[2] / "doc" / "reference" / "checks.csv").read_text("utf-8")
    wanted = [
        f'"{c.code}","{c.severity.value}","{method_names(c.methods)}","{c.meaning}"' for c in CHECKS
    ]
    assert table.splitlines() == wanted


def test_thousands_of_clones_are_counted_and_some_are_named():
    names = tuple(f"hdd/vm-{number}" for number in range(5))
    golden = image(snapshots=(Snapshot("s"),), clones=20_000, clone_names=names)
    found = next(f for f in run(golden) if f.code == "SOURCE_HAS_CLONES")
    assert "hdd/vm-0, hdd/vm-1, hdd/vm-2, hdd/vm-3, hdd/vm-4 and 19995 more;" in found.message


def with_keys(**osd):
    keys = tuple(
        RbdClient(f"client.{name}", {"mon": "profile rbd", "osd": text})
        for name, text in osd.items()
    )
    return replace(GOOD, clients=keys)


def test_a_key_that_covers_the_target_alone_is_named_with_the_command_that_adds_the_source():
    (found,) = run(with_keys(new="profile rbd pool=nvme"))
    assert found.code == "CLIENTS_SOURCE_POOL"
    assert found.remedy == (
        "ceph auth caps client.new mon 'profile rbd' "
        "osd 'profile rbd pool=nvme, profile rbd-read-only pool=hdd'"
    )
    assert found.remedy in found.message


def test_a_key_that_covers_the_source_alone_is_named_with_the_command_that_adds_the_target():
    (found,) = run(with_keys(old="profile rbd pool=hdd"))
    assert found.code == "CLIENTS_TARGET_POOL"
    assert "osd 'profile rbd pool=hdd, profile rbd pool=nvme'" in found.remedy
    (found,) = run(with_keys(backup="profile rbd-read-only pool=hdd"))
    assert "profile rbd-read-only pool=nvme" in found.remedy


def test_keys_that_name_no_pool_or_both_or_others_are_not_judged():
    facts = with_keys(
        admin="allow *",
        rbd="profile rbd",
        both="profile rbd pool=hdd, profile rbd pool=nvme",
        gateway="allow rwx tag rgw *=*",
        other="profile rbd pool=elsewhere",
        none="",
    )
    assert codes(facts) == []


def test_the_pools_of_data_and_of_the_parent_have_to_be_covered_too():
    facts = with_keys(new="profile rbd pool=nvme, profile rbd pool=hdd")
    source = replace(GOOD.image, data_pool="ec", parent="old/ns/base@s", parent_pool="old")
    found = run(replace(facts, image=source))
    (lacks,) = (f for f in found if f.code == "CLIENTS_SOURCE_POOL")
    assert lacks.remedy.endswith(
        "profile rbd-read-only pool=ec, profile rbd-read-only pool=old namespace=ns'"
    )


def test_a_new_data_pool_has_to_be_covered_also_in_place():
    facts = with_keys(vm="profile rbd pool=hdd")
    request = MigrationRequest(SOURCE, SOURCE, LayoutOptions(data_pool="ec"))
    pools = {"hdd": Pool("hdd"), "ec": Pool("ec", erasure=True, omap=False)}
    place = replace(GOOD.source, exists=True)
    (found,) = run(replace(facts, request=request, pools=pools, target=place))
    assert (found.code, found.object) == ("CLIENTS_TARGET_POOL", "client.vm")
    assert found.remedy.endswith("'profile rbd pool=hdd, profile rbd pool=ec'")


def test_what_a_key_has_for_other_daemons_is_kept_by_the_command():
    caps = {"mgr": "profile rbd pool=nvme", "mon": "profile rbd", "osd": "profile rbd pool=nvme"}
    (found,) = run(replace(GOOD, clients=(RbdClient("client.csi", caps),)))
    assert "mgr 'profile rbd pool=nvme' mon 'profile rbd' osd 'profile rbd pool=nvme, " in (
        found.remedy
    )


def test_of_many_keys_five_are_named_and_the_others_counted():
    found = run(with_keys(**{f"c{number}": "profile rbd pool=nvme" for number in range(9)}))
    assert [f.object for f in found] == [f"client.c{number}" for number in range(6)]
    assert "4 more keys" in found[-1].message


def test_each_wrong_map_is_named_with_the_command_that_rebuilds_it():
    maps = (
        InvalidMap("", ("object map invalid", "fast diff invalid")),
        InvalidMap("old", ("fast diff invalid",)),
    )
    (found,) = run(image(invalid_maps=maps))
    assert '"fast diff invalid" and "object map invalid"' in found.message
    assert "`rbd object-map rebuild hdd/disk`, `rbd object-map rebuild hdd/disk@old`" in (
        found.message
    )


@pytest.mark.parametrize(
    ("osd", "place", "is_covered"),
    [
        ("profile rbd pool=nvme", PoolPlace("nvme"), True),
        ("profile rbd pool=nvme", PoolPlace("nvme", "ns"), True),
        ("profile rbd pool=nvme namespace=ns", PoolPlace("nvme", "ns"), True),
        ("profile rbd pool=nvme namespace=ns", PoolPlace("nvme"), False),
        ("profile rbd pool=nvme namespace=ns*", PoolPlace("nvme", "ns2"), True),
        ("profile rbd pool=nvme", PoolPlace("nvme2"), False),
        ("allow rwx pool=a, allow rx pool b; allow r pool = 'c'", PoolPlace("b"), True),
        ("allow rwx pool=a,allow rx pool=b; allow r pool='c'", PoolPlace("c"), True),
        ('allow rwx pool="a, b"', PoolPlace("a, b"), True),
        ("allow class-read object_prefix rbd_children, allow rwx pool=a", PoolPlace("b"), False),
        ("allow *", PoolPlace("any", "ns"), True),
        ("", PoolPlace("any"), False),
    ],
)
def test_what_capabilities_cover(osd, place, is_covered):
    assert covered(osd, place) is is_covered
