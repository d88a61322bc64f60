"""Reports as JSON text: what is kept of them is always what would be encoded."""

import json

from rbdmigrate.control.query import Query
from rbdmigrate.model.states import Goal, State
from tests.fakes.loading import load
from tests.fakes.world import World


def held(world: World) -> None:
    """Five seconds pass, and count as time for which migrations were held."""
    world.run(5.0)
    world.call(world.engine.measures.tick)


def listed(world: World, query: Query = Query(limit=0)) -> "list[dict]":  # noqa: B008 - frozen
    """The list as JSON text, compared with what it stands for."""

    def ask() -> str:
        found = world.engine.listing.find(query)
        text: str = found.json()
        assert text == json.dumps(list(found))
        for brief, whole in zip(found.brief(), found):
            assert brief == {name: whole[name] for name in brief}
        return text

    return json.loads(world.call(ask))


def test_it_follows_all_changes():
    with World() as world:
        assert listed(world) == []
        for name in ("a", "b"):
            world.create_image(f"hdd/{name}", {0: b"one"})
            world.prepare(f"hdd/{name}", f"nvme/{name}", goal=Goal.PREPARED)
        assert [r["state"] for r in listed(world)] == ["prepared", "prepared"]
        world.set(max_copies=0, command_wait=0.0)
        world.do("execute", "nvme/a")
        held(world)
        waits, rests = listed(world)
        assert waits["hold"]["reason"] == "limit"
        assert waits["held_seconds"]["limit"] > 0
        assert rests["hold"] is None
        held(world)
        assert listed(world)[0]["held_seconds"]["limit"] > waits["held_seconds"]["limit"]
        world.do("pause", "nvme/a")
        assert listed(world)[0]["hold"]["reason"] == "paused"
        world.set(max_copies=4)
        world.do("resume", "nvme/a")
        while not listed(world)[0]["acting"]:
            world.run(0.01)
        world.wait_state("nvme/a", "executed")
        assert [r["percent"] for r in listed(world)] == [100, 0]
        world.do("commit", "nvme/a")
        world.wait_state("nvme/a", "committed")
        assert [r["target"] for r in listed(world)] == ["nvme/b"]
        ended = listed(world, Query(limit=0, ended=True, states=frozenset({State.COMMITTED})))
        assert [r["target"] for r in ended] == ["nvme/a"]
        assert len(listed(world, Query(limit=1, ended=True))) == 1


def test_what_did_not_change_is_not_encoded_again(monkeypatch):
    with World() as world:
        world.create_image("hdd/a", {0: b"one"})
        world.prepare("hdd/a", "nvme/a", goal=Goal.PREPARED)
        listed(world)
        texts = load().module("engine.requests.report_text")
        monkeypatch.setattr(texts, "view", None)
        for _ in range(3):
            world.run(60.0)
            world.call(lambda: world.engine.listing.find(Query(limit=0)).json())
