"""The commands about hooks: what they call, who may give them, and what they show."""

from dataclasses import replace
from errno import EACCES, EINVAL, ENOENT

import pytest

from rbdmigrate.model.hooks import SUBSCRIBED
from tests.unit.front_ends import HOOK

SECRET = "0123456789abcdef0123456789abcdef"
URL = "https://hooks.example.com/"


@pytest.fixture(scope="module")
def hooks(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.hooks")


def test_a_hook_is_added_with_everything_that_was_given(ask, engine):
    code, out, _ = ask(
        "hook add", SECRET, hook="one", url=URL, events="executed, failed", pool="ssd",
        timeout="20s", ca="PEM",
    )  # fmt: skip
    assert code == 0
    assert "hook test one" in out
    assert engine.calls == [
        (
            "hook add",
            ("one", URL),
            {
                "events": ["executed", "failed"],
                "pool": "ssd",
                "secret": SECRET,
                "timeout": 20.0,
                "ca": "PEM",
            },
        )
    ]


def test_a_secret_is_not_taken_from_where_it_is_logged(ask, engine):
    code, _, said = ask("hook add", hook="one", url=URL, secret=SECRET)
    assert code == -EINVAL
    assert "audit log" in said
    assert SECRET not in said
    code, _, said = ask("hook add", SECRET, hook="one", url=URL, secret="config://x")
    assert code == -EINVAL
    assert "twice" in said
    assert engine.calls == []
    key = "config://rbd/migration-hook-secret/one"
    assert ask("hook add", hook="one", url=URL, secret=key)[0] == 0
    assert engine.calls[0][2]["secret"] == key


@pytest.mark.parametrize("name", ["hook add", "hook ls", "hook rm", "hook test"])
def test_hooks_are_for_those_who_may_touch_everything(commands, engine, options, name):
    command = {"prefix": f"rbd migration {name}", "hook": "one", "url": URL}
    code, _, said = commands.handle(
        engine, options, command, lambda pool, namespace: pool == "ssd", SECRET
    )
    assert code == -EACCES
    assert said.startswith("Hooks are for the whole cluster")
    assert engine.calls == []


def test_only_hook_ls_is_for_those_who_read(commands):
    found = {c.name: c.perm for c in commands.TABLE if c.name.startswith("hook ")}
    assert found.pop("hook ls") == "r"
    assert set(found.values()) == {"w"}


def test_answers_that_come_later(ask, engine):
    code, out, _ = ask("hook done", hook="one", target_image="ssd/b")
    assert (code, out) == (0, "The hook one agreed to before_commit of ssd/b.")
    code, out, _ = ask("hook done", hook="one", target_image="ssd/b", veto="no")
    assert (code, out) == (0, "The hook one said no to before_commit of ssd/b.")
    assert [call[1][2] for call in engine.calls] == [None, "no"]
    assert ask("hook done", forbidden=("ssd",), hook="one", target_image="ssd/b")[0] == -EACCES


def test_the_table_of_hooks(ask, hooks):
    _, out, _ = ask("hook ls")
    assert out.splitlines()[1].split() == ["one", URL, "before_cutover", "0"]
    assert hooks._show_ls([]) == "There are no hooks."
    events = tuple(event.value for event in SUBSCRIBED)
    everything = replace(HOOK, events=events, lost=2, last_failure="Gone.")
    assert "all" in hooks._show_ls([everything])
    assert "2 messages were given up. Gone." in hooks._show_ls([everything])


def test_a_hook_that_there_is_none(ask):
    for name in ("hook rm", "hook test"):
        assert ask(name, hook="two")[0] == -ENOENT
