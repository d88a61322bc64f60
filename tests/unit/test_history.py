"""What the history forgets."""

from dataclasses import replace

from rbdmigrate.control.lifecycle.retention import expired
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import Goal, State

DAY = 86400.0
ENDED = Migration(
    id="0",
    source=Place("a", "", "b"),
    target=Place("c", "", "b"),
    goal=Goal.COMMITTED,
    state=State.COMMITTED,
    created=0.0,
)


def ended(*days_ago: float) -> list[Migration]:
    return [
        replace(ENDED, id=str(n), ended_at=100 * DAY - days * DAY)
        for n, days in enumerate(days_ago)
    ]


def ids(found):
    return sorted(m.id for m in found)


def test_the_old_are_forgotten():
    assert ids(expired(ended(1, 91, 89, 200), 100 * DAY, 90, 1000)) == ["1", "3"]


def test_the_latest_are_kept_whatever_their_order():
    assert ids(expired(ended(3, 1, 2, 4), 100 * DAY, 90, 2)) == ["0", "3"]
