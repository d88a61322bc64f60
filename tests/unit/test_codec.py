"""Records as JSON and back: strictly, and with the path of what is refused."""

import json

import pytest
from hypothesis import given

from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.errors import RecordError
from rbdmigrate.model.migration import Actor, Failure, Hold, Intent, Migration, Place, TimelineEntry
from rbdmigrate.model.states import ActKind, Goal, HoldReason, State
from tests.unit.builders import few, migration, migrations


def full() -> dict:
    """A plain record in which every optional part is there."""
    return to_plain(
        migration(
            intent=Intent(ActKind.PREPARE, 1.0, Actor("x", "host", 7, ("v1:1.2.3.4:5/6",), (4, 5))),
            hold=Hold(HoldReason.RETRY, "later.", 2.0),
            failure=Failure(5, "no.", 3.0),
            timeline=(TimelineEntry(1.0, State.QUEUED), TimelineEntry(2.0, State.FAILED)),
        )
    )


def put(plain: dict, path: str, value: object) -> dict:
    """``plain`` with ``value`` at a path such as ``timeline.1.state``."""
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place = plain
    for part in way:
        place = place[part]
    place[last] = value
    return plain


@few
@given(migrations)
def test_what_was_made_plain_and_went_through_json_comes_back_the_same(record):
    assert from_plain(Migration, json.loads(json.dumps(to_plain(record)))) == record


def test_plain_is_made_of_what_json_has():
    plain = full()
    assert plain["goal"] == "committed"
    assert plain["timeline"][1] == {"at": 2.0, "state": "failed", "message": "", "by": ""}
    assert plain["step"]["actor"]["clients"] == [4, 5]


WRONG = [
    ("id", 5, "record.id is not of type str"),
    ("id", None, "record.id is not of type str"),
    ("paused", 1, "record.paused is not of type bool"),
    ("paused", "yes", "record.paused is not of type bool"),
    ("priority", True, "record.priority is not of type int"),
    ("priority", 1.0, "record.priority is not of type int"),
    ("created", "now", "record.created is not of type float"),
    ("created", True, "record.created is not of type float"),
    ("goal", "home", "record.goal has the unknown value 'home'"),
    ("state", ["queued"], "record.state has the unknown value ['queued']"),
    ("state", {}, "record.state has the unknown value {}"),
    ("source", None, "record.source is not an object"),
    ("source", ["rbd", "", "a"], "record.source is not an object"),
    ("source.pool_id", "1", "record.source.pool_id is not of type int"),
    ("source.color", 1, "record.source has an unknown field 'color'"),
    ("layout.features", "layering", "record.layout.features is not a list"),
    ("layout.features", ["layering", 1], "record.layout.features[1] is not of type str"),
    ("step.op", "dance", "record.step.op has the unknown value 'dance'"),
    ("step.actor.clients", [1, "2"], "record.step.actor.clients[1] is not of type int"),
    ("hold", "paused", "record.hold is not an object"),
    ("hold.until", "soon", "record.hold.until is not of type float"),
    ("timeline", {}, "record.timeline is not a list"),
    ("timeline.1", 5, "record.timeline[1] is not an object"),
    ("timeline.1.state", "lost", "record.timeline[1].state has the unknown value 'lost'"),
    ("newer", {}, "record has an unknown field 'newer'"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_is_not_understood_is_refused_with_its_path(path, value, message):
    with pytest.raises(RecordError) as e:
        from_plain(Migration, put(full(), path, value))
    assert str(e.value) == message


REQUIRED = ["id", "source", "target", "goal", "state", "created"]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_refused(name):
    plain = full()
    del plain[name]
    with pytest.raises(RecordError, match=f"^record lacks the field '{name}'$"):
        from_plain(Migration, plain)


def test_a_missing_field_inside_is_refused_with_its_path():
    plain = full()
    del plain["timeline"][0]["at"]
    with pytest.raises(RecordError, match=r"^record\.timeline\[0\] lacks the field 'at'$"):
        from_plain(Migration, plain)


def test_fields_with_a_default_may_be_left_out():
    plain = full()
    assert from_plain(Migration, {name: plain[name] for name in REQUIRED}) == migration()


def test_a_whole_number_will_do_for_a_time():
    created = from_plain(Migration, put(full(), "created", 5)).created
    assert (created, type(created)) == (5.0, float)


def test_the_path_begins_with_what_the_caller_calls_it():
    with pytest.raises(RecordError, match=r"^history\.pool is not of type str$"):
        from_plain(Place, {"pool": 1, "namespace": "", "image": "a"}, "history")


def test_an_enum_is_read_by_its_value_and_not_by_its_name():
    assert from_plain(Migration, put(full(), "goal", "aborted")).goal is Goal.ABORTED
    with pytest.raises(RecordError):
        from_plain(Migration, put(full(), "goal", "ABORTED"))
