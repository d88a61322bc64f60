"""Hooks: decisions about questions, events, answers and addresses."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.devcluster.layout import REPOSITORY
from rbdmigrate.control.hooks import messages
from rbdmigrate.control.hooks.answers import (
    LIFETIME,
    LONGEST,
    Meaning,
    after_failure,
    answer_of,
    given_up,
    is_failing,
)
from rbdmigrate.control.hooks.events import notices, pools_of, takers
from rbdmigrate.control.hooks.questions import (
    agreed,
    asked,
    commit_agreed,
    may_close,
    not_closed,
    stands,
    vetoed,
    wants_commit,
    wants_cutover,
    without_hooks,
    without_stale_question,
)
from rbdmigrate.control.lifecycle.cutover import cut_over_refused, put_off, released
from rbdmigrate.control.lifecycle.requests import to_abort, to_pause
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy, Release
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.hook_policy import HookPolicy, parse_hook_policy, parse_hook_url, shown_url
from rbdmigrate.model.hooks import SUBSCRIBED, Delivery, Hook, HookEvent, decode, encode
from rbdmigrate.model.import_policy import is_closed
from rbdmigrate.model.migration import Migration
from rbdmigrate.model.states import Goal, HoldReason, Method, State
from tests.unit.builders import NOON, any_of, few, migration

E = HookEvent
HOOK = CutoverPolicy(CutoverMode.HOOK)


def waiting(**changes):
    """A migration that waits for hooks to be asked for its cutover."""
    plain = migration(
        method=Method.WARM, state=State.EXECUTED, goal=Goal.CUT_OVER, cutover=HOOK,
        executed_at=NOON,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def committing(**changes):
    return migration(state=State.EXECUTED, executed_at=NOON, **changes)


def asked_all(*hooks, event=E.BEFORE_CUTOVER, m=None):
    return asked(m or waiting(), event, "q", hooks, NOON)


# -- questions


def test_a_question_is_answered_when_all_hooks_agreed():
    m = asked_all("one", "two")
    assert not may_close(m, NOON)
    m = agreed(m, "q", "one", NOON + 1)
    assert not may_close(m, NOON + 1)
    m = agreed(m, "q", "two", NOON + 9)
    assert (m.question.first, m.question.ready) == (NOON + 1, NOON + 9)
    assert may_close(m, NOON + 9)
    assert agreed(m, "q", "two", NOON + 20) == m


@pytest.mark.parametrize(("ident", "hook"), [("other", "one"), ("q", "three")])
def test_answers_that_nobody_waits_for_change_nothing(ident, hook):
    m = asked_all("one", "two")
    assert agreed(m, ident, hook, NOON) == m
    assert vetoed(m, ident, hook, "", NOON) == m


def test_a_veto_puts_the_cutover_off_with_its_reason():
    m = vetoed(asked_all("one"), "q", "one", "a  backup\nruns.", NOON)
    assert m.question is None
    assert m.hold.reason is HoldReason.HOOK
    assert m.hold.message.startswith("The hook one said no: a backup runs. ")
    assert m.hold.until > NOON
    assert not wants_cutover(m, NOON)
    assert wants_cutover(m, m.hold.until)


def test_a_veto_comes_too_late_once_the_cutover_has_begun():
    m = agreed(asked_all("one"), "q", "one", NOON)
    m = released(m, Release(NOON), CutoverMode.HOOK)
    assert vetoed(m, "q", "one", "", NOON) == m


@pytest.mark.parametrize(
    "change",
    [
        to_pause,
        to_abort,
        lambda m: put_off(m, "Why.", NOON),
        lambda m: dataclasses.replace(m, cutover=CutoverPolicy()),
        lambda m: dataclasses.replace(m, goal=Goal.EXECUTED),
        lambda m: m.enter(State.FAILED, NOON),
    ],
)
def test_a_question_ends_with_what_it_is_about(change):
    m = asked_all("one")
    assert stands(m)
    after = without_stale_question(change(m))
    assert after.question is None
    (notice,) = (n for n in notices(m, after) if n.event is E.CUTOVER_FAILED)
    assert notice.hooks == ("one",)


def test_a_question_stands_until_the_cutover_is_done_or_undone():
    m = released(agreed(asked_all("one"), "q", "one", NOON), Release(NOON), CutoverMode.HOOK)
    assert stands(m)
    m = m.enter(State.CUTTING_OVER, NOON)
    assert stands(m)
    undone = without_stale_question(cut_over_refused(m, "Open.", NOON))
    assert [n.event for n in notices(m, undone)] == [E.CUTOVER_FAILED]
    done = without_stale_question(dataclasses.replace(m, release=None).enter(State.CUT_OVER, NOON))
    assert done.question is None
    assert [n.event for n in notices(m, done)] == [E.AFTER_CUTOVER]


def test_clients_that_stay_put_the_cutover_off():
    m = agreed(asked_all("one"), "q", "one", NOON)
    assert not_closed(m, "other", 60, NOON + 60) == m
    after = not_closed(m, "q", 60, NOON + 60)
    assert after.question is None
    assert "rbd/a were stopped, but 60 s later it was still open" in after.hold.message


def test_hooks_that_are_removed_are_not_waited_for():
    m = asked_all("one", "two")
    assert without_hooks(m, {"one", "two"}, NOON) == m
    m = agreed(m, "q", "one", NOON)
    assert without_hooks(m, {"one"}, NOON).question.ready == NOON
    gone = without_hooks(m, set(), NOON)
    assert gone.question is None
    assert "were removed" in gone.hold.message


def test_a_commit_waits_for_those_who_want_to_be_asked():
    m = committing()
    assert commit_agreed(m, [])
    assert not commit_agreed(m, ["one"])
    assert wants_commit(m, NOON)
    m = asked_all("one", event=E.BEFORE_COMMIT, m=m)
    assert not commit_agreed(m, ["one"])
    assert commit_agreed(agreed(m, "q", "one", NOON), ["one"])
    no = vetoed(m, "q", "one", "", NOON)
    assert no.hold.message == "The hook one said no. The commit is tried again by itself."
    assert commit_agreed(m.enter(State.COMMITTING, NOON), ["one"])
    assert without_hooks(m, set(), NOON).question.ready == NOON


@pytest.mark.parametrize("state", [s for s in State if s is not State.EXECUTED])
def test_a_warm_migration_is_not_asked_for_its_commit_before_its_cutover(state):
    m = waiting(goal=Goal.COMMITTED).enter(state, NOON)
    assert wants_commit(m, NOON) == (state in (State.CUT_OVER,))


@few
@given(any_of(Migration))
def test_a_record_keeps_only_a_question_that_stands(m):
    after = without_stale_question(m)
    assert after.question is None or stands(after)
    assert without_stale_question(after) == after
    if m.state.ended:
        assert after.question is None


@few
@given(any_of(Migration), any_of(Migration))
def test_whoever_was_asked_to_stop_clients_hears_what_became_of_it(before, after):
    """Whatever the change is: the end of a question before a cutover is told."""
    before = dataclasses.replace(before, question=asked_all("one").question)
    after = without_stale_question(dataclasses.replace(after, question=None))
    told = {n.event for n in notices(before, after)}
    assert told & {E.CUTOVER_FAILED, E.AFTER_CUTOVER}


# -- events


def hook(name, *events, pool=""):
    return Hook(name, "https://x/", events or tuple(E), "key", pool=pool)


def test_hooks_get_what_they_asked_for_of_their_pools():
    hooks = [hook("c"), hook("b", pool="ssd"), hook("a", E.FAILED), hook("d", pool="x")]
    m = migration()
    assert [h.name for h in takers(hooks, E.BEFORE_CUTOVER, pools_of(m))] == ["b", "c"]
    assert [h.name for h in takers(hooks, E.FAILED, pools_of(m))] == ["a", "b", "c"]


STATES = [
    (State.EXECUTED, [E.EXECUTED]),
    (State.COMMITTED, [E.COMMITTED]),
    (State.ABORTED, [E.ABORTED]),
    (State.FAILED, [E.FAILED]),
    (State.CUT_OVER, [E.AFTER_CUTOVER]),
    (State.PREPARED, []),
    (State.VERIFIED, []),
]


@pytest.mark.parametrize(("state", "events"), STATES)
def test_states_that_are_told(state, events):
    before = migration(method=Method.WARM)
    after = before.enter(state, NOON)
    assert [n.event for n in notices(before, after)] == events
    assert notices(after, after.enter(state, NOON, "again")) == []


def test_a_live_migration_has_a_cutover_where_an_agent_pauses_a_guest():
    def told(mode):
        before = migration(cutover=CutoverPolicy(mode))
        return [n.event for n in notices(before, before.enter(State.PREPARED, NOON))]

    assert told(CutoverMode.REFUSE) == []
    assert told(CutoverMode.AGENT) == [E.AFTER_CUTOVER]


def test_a_cutover_that_is_refused_is_told_also_where_nobody_was_asked():
    m = waiting(cutover=CutoverPolicy(), state=State.CUTTING_OVER)
    after = cut_over_refused(m, "Open.", NOON)
    assert [n.event for n in notices(m, after)] == [E.CUTOVER_FAILED]


# -- messages


def test_a_message_says_which_image_to_leave_and_where_to_start():
    def said(event, back=False):
        text = messages.about_migration(waiting(), event, "d", NOON, back=back)
        plain = json.loads(text)
        assert plain["delivery"] == "d"
        assert plain["at"] == "2023-11-14T22:13:20Z"
        found = plain["migration"]
        return found["leave"], found["start_on"], found["back"]

    assert said(E.BEFORE_CUTOVER) == ("rbd/a", None, False)
    assert said(E.AFTER_CUTOVER) == (None, "ssd/b", False)
    assert said(E.CUTOVER_FAILED) == (None, "rbd/a", False)
    assert said(E.BEFORE_CUTOVER, back=True) == ("ssd/b", None, True)
    assert said(E.AFTER_CUTOVER, back=True) == (None, "rbd/a", True)
    assert said(E.CUTOVER_FAILED, back=True) == (None, "ssd/b", True)
    assert said(E.EXECUTED) == (None, None, False)


def delivery(**changes):
    plain = Delivery("d", "one", E.EXECUTED, "m1", '{"x": 1}', NOON)
    return dataclasses.replace(plain, **changes)


def test_a_message_is_signed():
    headers = messages.headers(delivery(failures=2), "secret", NOON + 0.5)
    assert headers == {
        "X-RBD-Migration-Event": "executed",
        "X-RBD-Migration-Delivery": "d",
        "X-RBD-Migration-Timestamp": "1700000000",
        "X-RBD-Migration-Attempt": "3",
        # printf '1700000000.d.{"x": 1}' | openssl dgst -sha256 -hmac secret
        "X-RBD-Migration-Signature": "sha256=" + DIGEST,
    }


DIGEST = "4d896ef4d62a09f1dbab12615ef74ca62f0a21f415652b91196545b583c7f8af"


@few
@given(any_of(Delivery))
def test_a_message_is_read_as_it_was_stored(one):
    try:
        raw = encode(one)
    except MigrationError:
        return  # refused before it is written
    assert decode(Delivery, raw) == one


# -- answers

ANSWERS = [
    (200, "", True, Meaning.TAKEN, ""),
    (204, "", False, Meaning.TAKEN, ""),
    (202, "", True, Meaning.LATER, ""),
    (202, "", False, Meaning.TAKEN, ""),
    (409, '{"reason": "busy"}', True, Meaning.VETO, "busy"),
    (409, '{"message": "busy"}', True, Meaning.VETO, "busy"),
    (409, "busy", True, Meaning.VETO, "busy"),
    (409, '{"reason": 5}', True, Meaning.VETO, ""),
    (409, "[]", True, Meaning.VETO, ""),
    (409, "", False, Meaning.FAILED, "x:443 answers 409"),
    (302, "", True, Meaning.FAILED, "x:443 answers 302, a redirect, which is not followed"),
    (500, "no\nspace", True, Meaning.FAILED, "x:443 answers 500: no space"),
    (100, "", True, Meaning.FAILED, "x:443 answers 100"),
]


@pytest.mark.parametrize(("status", "body", "asks", "meaning", "reason"), ANSWERS)
def test_what_answers_mean(status, body, asks, meaning, reason):
    answer = answer_of(status, body, None, asks=asks, place="x:443")
    assert (answer.meaning, answer.reason) == (meaning, reason)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 1), ("99999", 300), (None, 15), ("Sun, 06 Nov 1994", 15), ("²", 15)],
)
def test_when_a_question_is_asked_again(text, seconds):
    assert answer_of(202, "", text, asks=True, place="").wait == seconds


def test_a_message_is_tried_ever_more_rarely_and_given_up_after_a_day():
    one, waits, now = delivery(), [], NOON
    while not given_up(one, now):
        one = after_failure(one, "no", now)
        waits.append(one.due - now)
        now = one.due
    assert waits[:4] == [5, 10, 20, 40]
    assert max(waits) == LONGEST
    assert LIFETIME < now - NOON < LIFETIME + 2 * LONGEST
    assert [is_failing(delivery(failures=n)) for n in range(4)] == [False, False, False, True]
    assert not given_up(delivery(event=E.BEFORE_CUTOVER, question="q"), now)


# -- addresses

REFUSED = ["127.0.0.1", "::1", "127.9.9.9", "0.0.0.0", "::", "::ffff:127.0.0.1", "169.254.169.254",
           "fe80::1", "224.0.0.1", "nonsense"]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_at_which_no_hook_is(address):
    assert HookPolicy().refuse_address("x", address)


def test_addresses_that_the_option_opens():
    assert HookPolicy().refuse_address("x", "192.0.2.7") is None
    policy = parse_hook_policy("127.0.0.0/8, hooks.example.com", False)
    assert policy.refuse_address("x", "127.0.0.1") is None
    assert policy.refuse_address("hooks.example.com", "192.0.2.7") is None
    assert "hook_hosts" in (policy.refuse_address("hooks.example.com", "::1") or "")
    assert "open to hooks" in (policy.refuse_address("x", "192.0.2.7") or "")


@given(st.text(max_size=30))
def test_any_text_is_a_url_or_refused(text):
    try:
        parts = parse_hook_url(text)
    except ValueError:
        return
    assert parts.scheme in ("http", "https")
    assert parts.target.startswith("/")


def test_urls():
    parts = parse_hook_url("https://h.example:8443/a/b?token=x")
    assert (parts.host, parts.port, parts.target) == ("h.example", 8443, "/a/b?token=x")
    assert parse_hook_url("https://[::1]").place == "::1:443"
    assert shown_url("https://h/a?token=x") == "https://h/a?..."


def test_imports_may_not_use_secrets_of_hooks():
    assert is_closed("rbd/migration-hook-secret/one")
    assert is_closed("rbd/migration-hook-own/one")
    assert not is_closed("rbd/migration-source/one")


@pytest.mark.parametrize(
    ("body", "about"),
    [
        (messages.about_nothing("d", NOON), ""),
        ('{"migration": {"target": "nvme/a"}, "plan": null}', "nvme/a"),
        ('{"migration": null, "plan": {"name": "move"}}', "move"),
        ("[]", ""),
        ("{", ""),
        ('{"migration": {}, "plan": 7}', ""),
    ],
)
def test_what_a_message_is_about(body, about):
    assert messages.subject(body) == about


def test_the_page_offers_every_message_that_a_hook_can_ask_for():
    script = REPOSITORY / "mgr_module/rbd_migration/http/static/js/states.js"
    (line,) = [one for one in script.read_text().splitlines() if "HOOK_EVENTS" in one]
    listed = json.loads(line.partition("=")[2].strip().rstrip(";"))
    assert listed == [event.value for event in SUBSCRIBED]
