"""The parts of the development cluster that need no Ceph."""

import base64
import configparser
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qa.devcluster import ClusterOptions, CommandFailed, DevClusterError, processes
from qa.devcluster.blueprint import Blueprint, draw, ports_needed
from qa.devcluster.cluster import Cluster
from qa.devcluster.commands import run
from qa.devcluster.conf import conf_text
from qa.devcluster.keys import keyring_text, new_key
from qa.devcluster.layout import REPOSITORY, Layout
from qa.devcluster.options import parse_conf_line
from qa.devcluster.ports import choose, reserve


def blueprint(options: ClusterOptions) -> Blueprint:
    return draw(options, list(range(20000, 20000 + ports_needed(options))))


def sections(options: ClusterOptions) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(conf_text(blueprint(options), Layout(Path("/c"))))
    return parser


class TestPorts:
    def test_takes_the_first_that_are_neither_taken_nor_in_use(self) -> None:
        assert choose(2, [1], lambda port: port != 2, range(1, 9)) == [3, 4]

    def test_says_so_when_there_are_too_few(self) -> None:
        with pytest.raises(DevClusterError, match="take down clusters"):
            choose(3, [], lambda _: True, range(2))

    def test_clusters_that_start_together_get_different_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("qa.devcluster.ports.reservations_file", lambda: tmp_path / "held")
        owners = [tmp_path / str(number) for number in range(8)]
        for owner in owners:
            owner.mkdir()
        with ThreadPoolExecutor(8) as pool:
            ports = [
                port for some in pool.map(lambda one: reserve(one, 5), owners) for port in some
            ]
        assert len(set(ports)) == 40

    def test_are_free_again_when_the_cluster_is_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("qa.devcluster.ports.reservations_file", lambda: tmp_path / "held")
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        ports = reserve(first, 3)
        assert not set(reserve(second, 3)) & set(ports)
        first.rmdir()
        assert reserve(second, 3) == ports

    def test_in_use_are_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("qa.devcluster.ports.reservations_file", lambda: tmp_path / "held")
        (port,) = reserve(tmp_path, 1)
        (tmp_path / "held").unlink()
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
            assert reserve(tmp_path, 1) != [port]


class TestConf:
    def test_every_mon_is_named_with_both_its_ports(self) -> None:
        assert sections(ClusterOptions(mons=2))["global"]["mon_host"] == (
            "[v2:127.0.0.1:20000,v1:127.0.0.1:20001],[v2:127.0.0.1:20002,v1:127.0.0.1:20003]"
        )

    def test_extra_lines_win_in_every_section(self) -> None:
        extra = {"bluestore_block_size": "1", "osd_pool_default_size": "3", "own": "x"}
        parsed = sections(ClusterOptions(conf=extra))
        assert parsed["osd"]["bluestore_block_size"] == "1"
        assert parsed["global"]["osd_pool_default_size"] == "3"
        assert parsed["global"]["own"] == "x"

    @pytest.mark.parametrize("text", ["debug mgr = 20", "debug_mgr=20", "debug-mgr= 20"])
    def test_a_line_may_be_spelled_as_ceph_allows(self, text: str) -> None:
        assert parse_conf_line(text) == ("debug_mgr", "20")

    def test_a_line_needs_an_equals_sign(self) -> None:
        with pytest.raises(DevClusterError, match="key=value"):
            parse_conf_line("debug")


class TestBlueprint:
    def test_survives_being_written_down(self) -> None:
        one = blueprint(ClusterOptions(mons=3, mgrs=2, osds=2, rgw=True, conf={"a": "b"}))
        assert Blueprint.from_json(one.to_json()) == one

    def test_gives_no_port_out_twice(self) -> None:
        one = blueprint(ClusterOptions(mons=3, mgrs=3))
        ports = [port for pair in one.mons.values() for port in pair]
        ports += [*one.mgrs.values(), one.rgw_port]
        assert len(set(ports)) == len(ports) == ports_needed(one.options)

    @pytest.mark.parametrize("wrong", [{"mons": 0}, {"mgrs": 99}, {"osds": 0}, {"osd_size": 5}])
    def test_impossible_options_are_refused(self, wrong: "dict[str, int]") -> None:
        with pytest.raises(DevClusterError):
            ClusterOptions(**wrong)  # type: ignore[arg-type]


class TestKeys:
    def test_every_daemon_has_a_key_of_its_own(self) -> None:
        text = keyring_text(blueprint(ClusterOptions(mgrs=2, osds=2, rgw=True)))
        keys = [line for line in text.splitlines() if "key =" in line]
        assert len(set(keys)) == len(keys) == 7

    def test_a_key_has_the_length_of_cephx(self) -> None:
        assert len(base64.b64decode(new_key(), validate=True)) in (28, 44)  # AES, AES256K


class TestLayout:
    def test_sockets_of_a_deep_folder_have_short_paths(self) -> None:
        assert len(str(Layout(Path("/" + "x" * 200)).sockets)) < 80
        assert Layout(Path("/c")).sockets == Path("/c/run")


class TestCommands:
    def test_a_failure_tells_command_code_and_output(self) -> None:
        with pytest.raises(
            CommandFailed, match=r"sh -c .* failed with exit code 3: oops"
        ) as caught:
            run(["sh", "-c", "echo oops >&2; exit 3"], env=os.environ)
        assert caught.value.returncode == 3

    def test_what_takes_too_long_is_killed_with_its_children(self) -> None:
        with pytest.raises(CommandFailed, match="did not end within"):
            run(["sh", "-c", "sleep 1000 | sleep 1000"], env=os.environ, timeout=0.2)


class TestProcesses:
    @pytest.fixture
    def sleeper(self, tmp_path: Path) -> "processes.Process":
        mark = {processes.MARK: str(tmp_path)}
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        return processes.spawn(command, mark, tmp_path / "out")

    def test_another_process_with_the_same_pid_is_left_alone(
        self, sleeper: processes.Process
    ) -> None:
        impostor = processes.Process(sleeper.pid, sleeper.started - 1)
        assert not processes.send_signal(impostor, signal.SIGKILL)
        processes.stop(impostor, 0)
        assert processes.alive(sleeper)
        processes.stop(sleeper, 0)
        assert not processes.alive(sleeper)

    def test_those_of_a_cluster_are_found_by_their_mark(
        self, sleeper: processes.Process, tmp_path: Path
    ) -> None:
        processes.wait_gone(sleeper, 0.2)  # until it has its own environment
        assert sleeper in processes.carrying(str(tmp_path))
        processes.stop(sleeper, 5)
        assert processes.carrying(str(tmp_path)) == []


class TestFolder:
    def test_down_leaves_a_folder_alone_that_is_no_cluster(self, tmp_path: Path) -> None:
        (tmp_path / "mine").touch()
        Cluster(tmp_path).down()
        assert (tmp_path / "mine").exists()

    def test_up_refuses_a_folder_with_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "mine").touch()
        with pytest.raises(DevClusterError, match="holds other files"):
            Cluster(tmp_path).up()
        assert (tmp_path / "mine").exists()

    def test_talking_to_no_cluster_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(DevClusterError, match="cluster up"):
            Cluster(tmp_path).mgr_start("a")


_INTERRUPTED = """
import os, signal
from qa.devcluster.interruption import interrupt_on_signals, uninterrupted
signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
signal.signal(signal.SIGHUP, signal.SIG_IGN)
interrupt_on_signals()
with uninterrupted():
    for number in signals:
        os.kill(os.getpid(), number)
print("cleaned up")
for number in signals:
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        print(number.name)
"""


def test_signals_interrupt_but_for_the_clean_up_and_those_that_are_ignored() -> None:
    done = run(
        [sys.executable, "-c", _INTERRUPTED], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    assert done.stdout.split("\n") == ["cleaned up", "SIGINT", "SIGTERM", ""]
