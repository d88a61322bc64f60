"""Preflight's checks: what they find in facts, and that no facts make them fail."""

from dataclasses import replace
from errno import EACCES, EBUSY, EINVAL
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.checks import CHECKS, platform, refuse, run
from rbdmigrate.checks.facts import Facts, Image, MigrationRequest, Name, Snapshot, User
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.obstacles import AdvisoryLock, Obstacles, RemovedSnapshot
from rbdmigrate.model.pool import Pool
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.untrimmed import Untrimmed
from tests.unit.builders import any_of
from tests.unit.builders import names as names_

SOURCE, TARGET = ImageSpec("hdd", "", "disk"), ImageSpec("nvme", "", "disk")
GiB = 1 << 30
LOCK = AdvisoryLock("a b", "client.7")
FEATURES = frozenset({"layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"})
WELL = Facts(
    wish=MigrationRequest(SOURCE, TARGET),
    pools={"hdd": Pool("hdd"), "nvme": Pool("nvme", max_avail=100 * GiB)},
    source=Name(Place("hdd", "", "disk", 1, "aa"), exists=True),
    target=Name(Place("nvme", "", "disk", 2)),
    image=Image(size=10 * GiB, features=FEATURES, to_copy=GiB),
    release=(16, 2, 15),
    caps={"osd": "allow *"},
)


def codes(facts):
    return [finding.code for finding in run(facts)]


def pool(**changes):
    return {**WELL.pools, "nvme": replace(WELL.pools["nvme"], **changes)}


def image(**changes):
    return replace(WELL, image=replace(WELL.image, **changes))


def wish(**layout):
    return replace(WELL, wish=MigrationRequest(SOURCE, TARGET, LayoutOptions(**layout)))


EC = {**WELL.pools, "ec": Pool("ec", erasure=True, overwrites=False)}
TABLE = [
    (WELL, []),
    (replace(WELL, pools={**WELL.pools, "nvme": None}), ["POOL_MISSING"]),
    (replace(WELL, pools=pool(erasure=True)), ["POOL_ERASURE_CODED"]),
    (replace(wish(data_pool="ec"), pools=EC), ["DATA_POOL_NO_OVERWRITES"]),
    (replace(WELL, pools=pool(flags=frozenset({"nearfull"}))), ["POOL_NEARFULL"]),
    (replace(WELL, pools=pool(flags=frozenset({"full"}))), ["POOL_FULL"]),
    (replace(WELL, pools=pool(max_avail=GiB - 1)), ["NO_SPACE"]),
    (replace(WELL, pools=pool(max_avail=GiB)), ["SPACE_TIGHT"]),
    (replace(WELL, pools=pool(max_avail=None)), []),
    (replace(WELL, pools=pool(quota_bytes=2 * GiB, stored=GiB)), []),
    (replace(WELL, pools=pool(quota_bytes=2 * GiB, stored=GiB + 1)), ["QUOTA_BYTES"]),
    (replace(WELL, pools=pool(quota_objects=300, objects=44)), []),
    (replace(WELL, pools=pool(quota_objects=300, objects=45)), ["QUOTA_OBJECTS"]),
    (image(to_copy=None), ["BYTES_UNKNOWN"]),
    (image(users=(User(7, "10.0.0.5:0/1", kernel=True),)), ["SOURCE_IN_USE", "KERNEL_CLIENT"]),
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
    (image(map_invalid=True), ["OBJECT_MAP_INVALID"]),
    (image(obstacles=Obstacles(groups=("hdd/g@s",))), ["GROUP_SNAPSHOTS"]),
    (image(obstacles=Obstacles(mirroring=2), mirror_mode=1), ["MIRROR_SNAPSHOTS"]),
    (
        image(obstacles=Obstacles(removed=(RemovedSnapshot("s", ("hdd/c",)),))),
        ["REMOVED_SNAPSHOTS_WITH_CLONES"],
    ),
    (image(obstacles=Obstacles(locks=(LOCK,))), ["SOURCE_LOCKED"]),
    (wish(stripe_unit=3 << 20, stripe_count=2), ["STRIPE_UNIT"]),
    (wish(object_size=8 << 20, stripe_unit=8 << 20, stripe_count=2), []),
    (wish(shared=True), ["FEATURES_LOST"]),
    (replace(WELL, caps={"osd": "allow r"}), ["MANAGER_CAPS"]),
    (replace(WELL, caps={}), []),
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
    assert codes(replace(facts, wish=wish(flatten=True).wish)) == []


def test_in_place_the_name_is_its_own():
    place = replace(WELL.source, exists=True)
    layout = LayoutOptions(object_size=1 << 20)
    facts = replace(WELL, wish=MigrationRequest(SOURCE, SOURCE, layout), target=place)
    assert codes(replace(facts, pools={"hdd": Pool("hdd", max_avail=100 * GiB)})) == []


def test_an_image_is_copied_onto_itself_only_with_a_new_layout_or_by_force():
    own = replace(WELL, target=WELL.source, pools={"hdd": Pool("hdd", max_avail=100 * GiB)})
    plain = MigrationRequest(SOURCE, SOURCE)
    for facts, found in (
        (plain, ["NOTHING_CHANGES"]),
        (replace(plain, force=True), []),
        (replace(plain, layout=LayoutOptions(object_size=1 << 20)), []),
    ):
        assert codes(replace(own, wish=facts)) == found
    with pytest.raises(MigrationError, match="give a target or a layout option"):
        refuse(run(replace(own, wish=plain)))
    flat = replace(plain, layout=LayoutOptions(flatten=True))
    assert "NOTHING_CHANGES" not in codes(replace(own, wish=flat))


def test_errors_come_first_and_the_first_refuses():
    facts = replace(image(mirror_mode=1, to_copy=GiB), pools=pool(max_avail=1))
    findings = run(facts)
    assert [f.severity for f in findings] == [Severity.ERROR, Severity.WARNING]
    with pytest.raises(MigrationError, match="have to be copied"):
        refuse(findings)


def test_warnings_refuse_nothing():
    refuse(run(image(mirror_mode=1)))


def test_a_known_bug_is_told_before_the_release_that_mended_it():
    assert codes(replace(WELL, release=(15, 2, 4))) == ["RELEASE_BUG"]
    assert codes(replace(WELL, release=(15, 2, 5))) == []
    assert platform.__doc__


def test_declarations():
    assert len({c.code for c in CHECKS}) == len(CHECKS)
    for c in CHECKS:
        assert c.code == c.code.upper()
        assert c.meaning.endswith(".")
        assert bool(c.errno) is (c.severity is Severity.ERROR)
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
users = st.builds(User, st.integers(0), st.just("10.0.0.5:0/1"), st.booleans(), st.booleans())
images = st.builds(
    Image,
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
    map_invalid=st.booleans(),
)


@given(
    st.builds(
        Facts,
        wish=st.builds(MigrationRequest, specs, specs, layouts),
        pools=st.fixed_dictionaries({p: st.none() | pools for p in ("hdd", "nvme", "ec")}),
        missing_namespaces=st.frozensets(st.tuples(st.just("hdd"), st.just("ns"))),
        source=st.none() | names,
        target=st.none() | names,
        image=st.none() | images,
        release=st.tuples(*[st.integers(0, 30)] * 3),
        caps=st.dictionaries(st.sampled_from(["osd", "mon"]), names_),
    )
)
def test_no_facts_make_a_check_fail(facts):
    for finding in run(facts):
        assert finding.message.endswith(".")
        assert "\n" not in finding.message


def test_the_documentation_lists_every_check():
    table = (Path(__file__).parents[2] / "doc" / "reference" / "checks.csv").read_text("utf-8")
    wanted = [f'"{c.code}","{c.severity.value}","{c.meaning}"' for c in CHECKS]
    assert table.splitlines() == wanted


def test_thousands_of_clones_are_counted_and_some_are_named():
    names = tuple(f"hdd/vm-{number}" for number in range(5))
    golden = image(snapshots=(Snapshot("s"),), clones=20_000, clone_names=names)
    found = next(f for f in run(golden) if f.code == "SOURCE_HAS_CLONES")
    assert "hdd/vm-0, hdd/vm-1, hdd/vm-2, hdd/vm-3, hdd/vm-4 and 19995 more;" in found.message
