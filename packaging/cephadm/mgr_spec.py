#!/usr/bin/python3 -I
"""Add the bind mounts of rbd_migration to cephadm's service of the managers, or take them away.

    ceph orch ls mgr --export --format json | mgr_spec.py /opt/rbd_migration | ceph orch apply -i -
    ceph orch ls mgr --export --format json | mgr_spec.py --remove | ceph orch apply -i -

The folder is that of the source tree, on every host that may run a manager. cephadm then starts the
managers again, one after another. Needs Python alone; changes nothing itself.
"""

import argparse
import json
import sys
from pathlib import PurePosixPath
from typing import Any

MODULES = PurePosixPath("/usr/share/ceph/mgr")  # in Ceph's containers
_ARGUMENTS = "extra_container_args"
_MOUNTS = {  # in the source tree: in the module directory
    "mgr_module/rbd_migration": "rbd_migration",
    "src/rbdmigrate": "rbdmigrate",
}
_DROP_IN = {"mgr_module/dashboard/rbd_migration.py": "dashboard/controllers/rbd_migration.py"}

Spec = dict[str, Any]


def with_mounts(spec: Spec, folder: str, dashboard: bool = True) -> Spec:
    """The specification with our mounts, read-only, and with no others of ours."""
    mounts = {**_MOUNTS, **(_DROP_IN if dashboard else {})}
    ours = [
        f"--volume={PurePosixPath(folder) / source}:{MODULES / target}:ro,z"
        for source, target in mounts.items()
    ]
    return {**spec, _ARGUMENTS: [*_others(spec), *ours]}


def without_mounts(spec: Spec) -> Spec:
    """The specification as it was before."""
    others = _others(spec)
    rest = {key: value for key, value in spec.items() if key != _ARGUMENTS}
    return {**rest, _ARGUMENTS: others} if others else rest


def _others(spec: Spec) -> list[Any]:
    """Arguments that are not ours; later releases take objects as well as texts."""
    targets = [f":{MODULES / target}:ro,z" for target in (*_MOUNTS.values(), *_DROP_IN.values())]

    def is_ours(argument: Any) -> bool:
        text = argument.get("argument", "") if isinstance(argument, dict) else str(argument)
        return any(text.endswith(target) for target in targets)

    return [argument for argument in spec.get(_ARGUMENTS) or [] if not is_ours(argument)]


def main() -> int:
    """Filter the specification from standard input to standard output."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", help="of the source tree on the managers' hosts")
    parser.add_argument("--remove", action="store_true", help="take the mounts away")
    parser.add_argument(
        "--no-dashboard", dest="dashboard", action="store_false", help="nothing for the dashboard"
    )
    args = parser.parse_args()
    if bool(args.folder) == args.remove:
        parser.error("give either the folder of the source tree or --remove")
    if args.folder and not PurePosixPath(args.folder).is_absolute():
        parser.error(f"the folder has to be an absolute path, not {args.folder!r}")
    try:
        found = json.load(sys.stdin)
    except ValueError:
        parser.error("standard input is not JSON; use: ceph orch ls mgr --export --format json")
    specs = found if isinstance(found, list) else [found]
    for spec in specs:
        if spec.get("service_type") != "mgr":
            parser.error(f"there is a service of type {spec.get('service_type')!r}, not mgr")
        changed = (
            without_mounts(spec) if args.remove else with_mounts(spec, args.folder, args.dashboard)
        )
        print("---")  # documents of YAML, of which JSON is a part
        print(json.dumps(changed, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
