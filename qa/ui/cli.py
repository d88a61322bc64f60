"""The command line: ``./run qa ui``."""

import argparse
import time
from pathlib import Path

from qa.releases.catalogue import here

from .browser import browser
from .dashboard import take_dashboard
from .double import Double
from .plan_scenes import every_plan, hostile_plan, large_plan
from .scenes import MIB, ended, every_state, hooks, hostile, hosts, thousands
from .server import serving
from .shots import take

FOLDER = Path(__file__).parents[2] / ".screenshots"


def main() -> int:
    """Take screenshots, of the real dashboard too, or serve the page with the double to try it."""
    parser = argparse.ArgumentParser(prog="./run qa ui", description=__doc__)
    parser.add_argument("--only", default="", help="views whose name matches this pattern")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    parser.add_argument("--serve", action="store_true", help="serve the page until interrupted")
    parser.add_argument(
        "--dashboard", action="store_true", help="only the real dashboard, of a cluster of its own"
    )
    parser.add_argument("--many", type=int, default=0, help="this number of further migrations")
    parser.add_argument("--hostile", action="store_true", help="hostile names too")
    options = parser.parse_args()
    if options.dashboard:
        options.folder.mkdir(parents=True, exist_ok=True)
        with browser() as started:
            for path in take_dashboard(started, options.folder, here()):
                print(path, flush=True)
        return 0
    with serving(_double(options)) as address:
        if options.serve:
            print(f"{address} (interrupt to end)", flush=True)
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                return 0
        options.folder.mkdir(parents=True, exist_ok=True)
        with browser() as started:
            for path in take(started, address, options.folder, options.only):
                print(path, flush=True)
    return 0


def _double(options: argparse.Namespace) -> Double:
    now = time.time()
    items = every_state(now)
    items += thousands(options.many, now) if options.many else []
    items += hostile(now) if options.hostile else []
    plans = every_plan(now)
    plans += [large_plan(now, options.many, 200)] if options.many else []
    plans += [hostile_plan(now)] if options.hostile else []
    double = Double(items, ended(now), plans=plans, hosts=hosts(now), hooks=hooks(now))
    double.guarded = {"nvme/vm-00001", "nvme/vm-00011"}
    double.pace.timetable, double.pace.zone = (
        "Mon-Fri 08:00,120M 18:00,300M Sat-Sun,off",
        "Europe/Berlin",
    )
    double.pace.window = "Mon-Fri 06:00-12:00, Mon-Fri 13:00-03:00, Sat"
    double.pace.pools = {"hdd": 100 * MIB, "nvme": 0}
    double.pace.guard = 1.5
    double.pace.gates = [
        {"gate": "recovery", "level": "slow", "pool": None,
         "message": "4.1 % of the objects are misplaced or degraded; copies run at half speed."}
    ]  # fmt: skip
    return double
