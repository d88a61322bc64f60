"""The parts of the other releases that need neither a chroot nor Ceph."""

import pytest

from qa.releases import catalogue, cli
from qa.releases.catalogue import INSIDE, KNOWN
from qa.releases.enter import inside
from qa.releases.root import Root, RootError

REPORT = """<testsuites><testsuite>
<testcase classname="tests.cluster.test_a" name="test_one"/>
<testcase classname="tests.cluster.test_a" name="test_two"><failure message="x"/></testcase>
<testcase classname="tests.cluster.test_a" name="test_three"><skipped/></testcase>
<testcase classname="tests.cluster.test_b" name="test_one"><error/></testcase>
</testsuite></testsuites>"""


def test_a_report_tells_what_became_of_each_test() -> None:
    assert cli.outcomes_of(REPORT) == {
        "test_a::test_one": "passed",
        "test_a::test_two": "failed",
        "test_a::test_three": "skipped",
        "test_b::test_one": "failed",
    }


def test_the_table_has_a_column_for_each_release_and_their_sums() -> None:
    found = {"pacific": {"a::x": "passed", "a::y": "passed"}, "tentacle": {"a::x": "failed"}}
    head, first, second, sums = cli.table(found).splitlines()
    assert head.split() == ["test", "pacific", "tentacle"]
    assert first.split() == ["a::x", "passed", "failed"]
    assert second.split() == ["a::y", "passed", "-"]
    assert sums.split() == ["passed", "2/2", "0/1"]


def test_a_command_runs_in_mounts_of_its_own() -> None:
    root = Root(KNOWN["tentacle"])
    command = root.command(["ceph", "--version"], [("/from", "/to")])
    assert command[:2] == ["unshare", "--mount"]
    assert command[-2:] == ["ceph", "--version"]
    assert f'mount --bind "/from" "{root.path}/to"' in command[4]


def test_inside_a_chroot_its_release_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue.here.cache_clear()
    monkeypatch.setenv(INSIDE, "tentacle")
    assert catalogue.here() == "tentacle"
    catalogue.here.cache_clear()


def test_an_unknown_release_is_refused() -> None:
    with pytest.raises(RootError, match="choose from pacific, reef, tentacle"):
        inside("nautilus", ["true"])
