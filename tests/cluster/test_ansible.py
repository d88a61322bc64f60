"""The Ansible collection against the module's own server, with managers that redirect."""

import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest
import rados
import yaml

from qa.devcluster import Cluster
from qa.workload.images import KIB, digests, make_image
from tests.cluster.own_server import FIXTURES
from tests.cluster.rest import Rest

certificate, servers, server, keys, writer, reader = FIXTURES

pytest.importorskip("ansible", reason="ansible-core is not installed")
_HERE = Path(__file__).parent
_SOURCE = _HERE.parents[1]
_COLLECTION = _SOURCE / "packaging" / "ansible"
_RECAP = re.compile(r"ok=(\d+) +changed=(\d+) .* failed=(\d+)")
Play = Callable[[Path], int]


@pytest.fixture
def play(
    tmp_path: Path,
    cluster: Cluster,
    servers: "dict[str, Rest]",
    certificate: "tuple[Path, Path]",
    keys: "dict[str, str]",
    pools: "tuple[str, str]",
) -> Play:
    """Run a playbook, which has to succeed; return how many tasks changed something.

    The address of a standby manager comes first: it names the active one.
    """
    active = str(cluster.active_mgr())
    variables = {
        "migration_urls": [servers[name].url for name in sorted(servers, key=active.__eq__)],
        "migration_key": keys["write"],
        "reader_key": keys["read"],
        "migration_ca": str(certificate[0]),
        "source_pool": pools[0],
        "target_pool": pools[1],
        "ansible_python_interpreter": sys.executable,
    }
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
    }

    def ansible(program: str, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ansible", program, *args],
            env=environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    ansible("galaxy", "collection", "build", str(_COLLECTION), "--output-path", str(tmp_path))
    (built,) = tmp_path.glob("*.tar.gz")
    ansible("galaxy", "collection", "install", str(built), "-p", str(tmp_path), "--offline")

    def run(playbook: Path) -> int:
        said = ansible("playbook", str(playbook), "-i", "localhost,", "-e", json.dumps(variables))
        recap = _RECAP.search(said)
        assert recap is not None, said
        return int(recap[2])

    return run


def test_a_playbook_that_is_run_again_changes_nothing(
    play: Play, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    names = ("vm1", "disk-1", "disk-2")
    for name in names:
        make_image(client, f"{pools[0]}/{name}", size=256 * KIB, object_size=64 * KIB)
    before = [digests(client, f"{pools[0]}/{name}") for name in names]
    playbook = _SOURCE / "doc" / "examples" / "migrate.yml"
    assert play(playbook) == 4
    assert [digests(client, f"{pools[1]}/{name}") for name in names] == before
    assert play(playbook) == 0


@pytest.mark.parametrize("name", ["rbd_migration", "rbd_migration_plan", "rbd_migration_info"])
def test_a_module_documents_the_options_that_it_takes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(path: str, called: str) -> Any:
        spec = spec_from_file_location(called, _COLLECTION / "plugins" / f"{path}.py")
        assert spec is not None
        assert spec.loader is not None
        made = module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    package = "ansible_collections.rbd_migration.ceph.plugins.module_utils"
    for parent in (package[: package.index(word) + len(word)] for word in package.split(".")):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    for helper in ("rest", "task"):
        made = loaded(f"module_utils/{helper}", f"{package}.{helper}")
        monkeypatch.setitem(sys.modules, f"{package}.{helper}", made)
    module = loaded(f"modules/{name}", name)
    shared = yaml.safe_load(loaded("doc_fragments/rest", "doc").ModuleDocFragment.DOCUMENTATION)
    own = yaml.safe_load(module.DOCUMENTATION)["options"]
    _compare({**own, **shared["options"]}, module.ARGUMENTS)
    assert yaml.safe_load(module.EXAMPLES)
    assert yaml.safe_load(module.RETURN)


def _compare(documented: "dict[str, Any]", taken: "dict[str, Any]") -> None:
    assert set(documented) == set(taken)
    for option, spec in taken.items():
        text = documented[option]
        for key in ("type", "elements", "choices", "default", "aliases", "required"):
            assert text.get(key) == spec.get(key), (option, key)
        assert text["description"]
        if "options" in spec:
            _compare(text["suboptions"], spec["options"])


def test_check_mode_changes_nothing_and_refusals_are_sentences(
    play: Play, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    for name in ("moved", "back", "planned"):
        make_image(client, f"{pools[0]}/{name}", size=256 * KIB, object_size=64 * KIB)
    play(_HERE / "ansible_modules.yml")
