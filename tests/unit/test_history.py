"""What the history forgets, and that it does not read all of itself for that each time."""

from rbdmigrate.control.lifecycle.retention import expired
from rbdmigrate.control.query import Query
from rbdmigrate.model.states import Goal
from tests.fakes.world import World

DAY = 86400.0


def ended(*days_ago: float) -> "dict[str, float]":
    return {str(n): 100 * DAY - days * DAY for n, days in enumerate(days_ago)}


def test_the_old_are_forgotten():
    assert sorted(expired(ended(1, 91, 89, 200), 100 * DAY, 90, 1000)) == ["1", "3"]


def test_the_latest_are_kept_whatever_their_order():
    assert sorted(expired(ended(3, 1, 2, 4), 100 * DAY, 90, 2)) == ["0", "3"]


def moved(world: World, first: int, last: int) -> None:
    for number in range(first, last):
        world.create_image(f"hdd/{number:03}", {0: b"one"})
        world.prepare(f"hdd/{number:03}", f"nvme/{number:03}", goal=Goal.COMMITTED)
        assert world.wait_until_quiet()


def kept(world: World) -> "list[str]":
    """The targets in the history, by name."""
    _, ended = world.call(lambda: world.engine.listing.history(Query()))
    return sorted(m["target"] for m in ended)


def test_it_is_read_once_and_the_oldest_are_removed():
    with World() as world:
        world.set(history_count=15)
        moved(world, 0, 20)
        reads: list[str] = []
        world.cluster.before.append(lambda client, oid, write: write or reads.append(oid))
        moved(world, 20, 60)
        assert "rbd_migration_history" not in reads
        assert kept(world) == [f"nvme/{number:03}" for number in range(45, 60)]
        world.failover()
        moved(world, 60, 80)
        assert kept(world) == [f"nvme/{number:03}" for number in range(65, 80)]
