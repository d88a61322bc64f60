"""Hooks as front ends see them. Thread-safe; takes and returns plain data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from errno import EAGAIN, EINVAL, EIO, EPERM
from typing import Optional

from ...control.hooks.answers import Answer, Meaning, is_failing
from ...control.hooks.messages import subject
from ...model.errors import MigrationError
from ...model.hook_policy import OPTION_HOOK_HTTP, parse_hook_url, shown_url
from ...model.hook_report import HookCall, HookRow, LateAnswer
from ...model.hooks import (
    LEAST_TIMEOUT,
    LONGEST_TIMEOUT,
    MAX_SECRET,
    NAME,
    OWN_SECRETS,
    SECRETS,
    SUBSCRIBED,
    TIMEOUT,
    Hook,
    HookEvent,
)
from ...model.report import iso
from ...model.source import CONFIG
from ...model.spec import ImageSpec
from ...sources.tls import are_certificates
from ..hooks.definitions import HookRegistry
from ..hooks.queue import HookQueue
from ..hooks.sender import HookSender, Sent
from ..requests.errors import TranslatedErrors
from ..requests.lookup import Lookup
from ..settings import Settings
from .hook_gate import HookGate

_LEAST_SECRET = 16  # characters
_FAILED = Meaning.FAILED.value


class HookService:
    """Adds, lists, tests and removes hooks, and takes answers that come later."""

    def __init__(
        self,
        *,
        hooks: HookRegistry,
        queue: HookQueue,
        sender: HookSender,
        gate: HookGate,
        lookup: Lookup,
        settings: Callable[[], Settings],
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._hooks = hooks
        self._queue = queue
        self._sender = sender
        self._gate = gate
        self._lookup = lookup
        self._settings = settings
        self._translated = translated

    def add(
        self,
        name: str,
        url: str,
        *,
        events: Sequence[str] = (),
        pool: str = "",
        secret: str = "",
        timeout: float = TIMEOUT,
        ca: str = "",
    ) -> HookRow:
        """Register a hook. Raises MigrationError, having changed nothing.

        ``secret``: the text that signs its messages, or ``config://`` and a config-key with it.
        ``timeout``: seconds. ``ca``: certificates in PEM.
        """
        if not NAME.fullmatch(name):
            raise MigrationError(
                EINVAL,
                f"The name {name[:80]!r} is invalid; use up to 64 letters, digits, dots, dashes "
                "and underscores.",
            )
        self._refuse_url(url)
        if not LEAST_TIMEOUT <= timeout <= LONGEST_TIMEOUT:
            raise MigrationError(
                EINVAL,
                f"--timeout is {timeout:g} s; give one from {LEAST_TIMEOUT:g} s to "
                f"{LONGEST_TIMEOUT:g} s.",
            )
        _refuse_ca(ca)
        key, own = _secret_key(name, secret)
        hook = Hook(
            name=name,
            url=url,
            events=_events(events),
            secret=key,
            own_secret=own is not None,
            pool=pool,
            timeout=timeout,
            ca=ca,
            created=time.time(),
        )
        with self._about(name):
            self._hooks.add(hook, own)
        return self._shown(hook)

    def shown(self) -> list[HookRow]:
        """All hooks, and what waits for them. Nothing of their secrets."""
        return [self._shown(hook) for hook in self._hooks.all()]

    def remove(self, name: str) -> HookRow:
        """Forget a hook, and the messages that wait for it. Raises MigrationError, ENOENT."""
        with self._about(name):
            hook = self._hooks.remove(name)
        self._queue.forget(name)
        return self._shown(hook)

    def test(self, name: str) -> HookRow:
        """Send a hook a message. Raises MigrationError: EIO when it was not taken, EAGAIN when the
        answer takes longer than commands wait.
        """
        hook = self._hooks.require(name)
        answer = self._sender.test(hook, self._settings().command_wait)
        if answer is None:
            raise MigrationError(
                EAGAIN,
                f"The hook {name} has not answered yet; `ceph rbd migration hook ls` shows what "
                "comes of it.",
            )
        if answer.meaning is Meaning.FAILED:
            raise MigrationError(EIO, f"The hook {name} did not take it: {answer.reason}")
        return self._shown(hook)

    def done(self, name: str, target: ImageSpec, veto: Optional[str]) -> LateAnswer:
        """Take the answer of a hook that put it off with 202. Raises MigrationError, EINVAL.

        ``veto``: why not; None: yes.
        """
        tracked = self._lookup.require(target)
        q = tracked.migration.question
        if q is None or name not in q.hooks:
            raise MigrationError(
                EINVAL, f"The hook {name[:80]!r} is not asked about {target} now; nothing changed."
            )
        meaning = Meaning.TAKEN if veto is None else Meaning.VETO
        with self._translated(target):
            self._gate.say(tracked, q.id, name, Answer(meaning, veto or ""))
        return LateAnswer(name, str(target), q.event.value, veto)

    # -- health ------------------------------------------------------------------------------

    def failing(self) -> list[str]:
        """A sentence for each hook that does not take its messages."""
        found = []
        for hook in self._hooks.all():
            waiting = self._queue.waiting(hook.name)
            failing = [one for one in waiting if is_failing(one)]
            if not failing:
                continue
            worst = max(failing, key=lambda one: one.failures)
            found.append(
                f"The hook {hook.name} does not take its messages ({len(waiting)} wait, one was "
                f"sent {worst.failures} times): {worst.message.rstrip('.')}."
            )
        return [*found, *self._hooks.problems()]

    # -- within ------------------------------------------------------------------------------

    def _about(self, name: str) -> TranslatedErrors:
        return self._translated(ImageSpec("", "", f"the hook {name}"))

    def _refuse_url(self, url: str) -> None:
        policy = self._settings().hook_policy
        try:
            parts = parse_hook_url(url)
        except ValueError as error:
            raise MigrationError(EINVAL, f"The URL {shown_url(url)[:200]!r} {error}.") from error
        if parts.scheme != "https" and not policy.http:
            raise MigrationError(
                EPERM,
                f"{parts.place} would get messages without encryption; use https://, or allow it "
                f"with the option {OPTION_HOOK_HTTP}.",
            )
        refused = policy.refuse_address(parts.host, parts.host)
        if refused and "is not an address" not in refused:  # names are looked up when it is sent
            raise MigrationError(EPERM, f"{refused}.")

    def _shown(self, hook: Hook) -> HookRow:
        waiting = self._queue.waiting(hook.name)
        recent = tuple(_call(sent) for sent in self._sender.recent(hook.name))
        last = recent[0] if recent else None
        return HookRow(
            name=hook.name,
            url=shown_url(hook.url),
            events=tuple(event.value for event in hook.events),
            pool=hook.pool or None,
            timeout_seconds=hook.timeout,
            own_ca=bool(hook.ca),
            created=iso(hook.created),
            waiting=len(waiting),
            failing=any(is_failing(one) for one in waiting),
            lost=self._sender.given_up(hook.name) + self._queue.left_out(hook.name),
            last_at=None if last is None else last.at,
            last_event=None if last is None else last.event,
            last_failure=last.reason if last is not None and last.outcome == _FAILED else None,
            recent=recent,
            questions=tuple(subject(one.body) for one in waiting if one.question),
        )


def _call(sent: Sent) -> HookCall:
    """A message that was sent, as it is shown."""
    answer = sent.answer
    return HookCall(
        at=iso(sent.at),
        event=sent.event.value,
        about=sent.about or None,
        outcome=answer.meaning.value,
        reason=answer.reason or None,
    )


def _events(texts: Sequence[str]) -> tuple[HookEvent, ...]:
    """The events of a command; all of them where none is given. Raises MigrationError(EINVAL)."""
    known = {event.value: event for event in SUBSCRIBED}
    for text in texts:
        if text not in known:
            raise MigrationError(
                EINVAL, f"--events {text[:80]!r} is not known; choose from {', '.join(known)}."
            )
    return tuple(event for name, event in known.items() if not texts or name in texts)


def _secret_key(name: str, secret: str) -> tuple[str, Optional[str]]:
    """The config-key of a hook's secret, and the secret if it has to be stored there."""
    given = secret.strip()
    if given.startswith(CONFIG):
        key = given[len(CONFIG) :]
        if not key.startswith(SECRETS):
            raise MigrationError(
                EPERM,
                f"The config-key {key[:80]!r} is not one of hooks' secrets; store it under "
                f"{SECRETS}NAME with `ceph config-key set {SECRETS}NAME -i FILE`.",
            )
        return key, None
    if not _LEAST_SECRET <= len(given) <= MAX_SECRET:
        raise MigrationError(
            EINVAL,
            f"A hook needs a secret of {_LEAST_SECRET} to {MAX_SECRET} characters, which signs its "
            "messages; make one with `openssl rand -hex 32 > FILE`, and add `-i FILE`.",
        )
    return OWN_SECRETS + name, given


def _refuse_ca(ca: str) -> None:
    if ca and not are_certificates(ca):
        raise MigrationError(
            EINVAL,
            '--ca is not a certificate in PEM; give its text, as in --ca "$(cat ca.pem)".',
        )
