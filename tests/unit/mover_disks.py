"""A disk with snapshots in memory, as the mover's source and target, for tests.

Requests are answered by threads, in any order. Contents are checked as a whole.
"""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from errno import EIO

from rbdmigrate.control.mover.history import View
from rbdmigrate.control.mover.pieces import ExtentList
from rbdmigrate.model.copy_mark import CopyMark

GRAIN = 512


class Killed(BaseException):
    """The worker ends here."""


class Source:
    """A source. ``snapshots``: number, name, content; what was removed reads as zeros."""

    def __init__(self):
        self.snapshots = []
        self.protected = set()
        self.parents = set()
        self.history = {}  # what each snapshot held, also removed ones
        self.pool = ThreadPoolExecutor(4)
        self.on_read = lambda view: None
        self.broken = set()  # offsets of grains that cannot be read

    def add(self, name, content, *, protected=False, parent=False):
        """A newer snapshot."""
        number = max(self.history, default=3) + 2
        self.snapshots.append((number, name))
        self.history[number] = bytes(content)
        if protected:
            self.protected.add(number)
        if parent:
            self.parents.add(number)
        return number

    def remove(self, name):
        """Remove a snapshot, also one that is open."""
        self.snapshots = [(n, its) for n, its in self.snapshots if its != name]

    # -- as a Reader

    def views(self):
        return [
            View(n, name, len(self.history[n]), n in self.protected, n in self.parents)
            for n, name in self.snapshots
        ]

    @contextmanager
    def open(self, view):
        opened = OpenSource(self, view)
        try:
            yield opened
        finally:
            opened.closed = True

    def has(self, views):
        listed = {n for n, _ in self.snapshots}
        return all(view.id in listed for view in views)

    def content(self, number):
        """As a handle on it reads now."""
        there = any(n == number for n, _ in self.snapshots)
        return self.history[number] if there else bytes(len(self.history[number]))


class OpenSource:
    """An open view."""

    tells_all = False
    grain = 64 << 10

    def __init__(self, source, view):
        self.source, self.view, self.closed = source, view, False

    def changes(self, base, offset, length):
        found = ExtentList()
        mine = self.source.content(self.view.id)
        other = None if base is None else self.source.content(base.id)
        rough = base is not None and (self.view.parent or base.parent)
        for at in range(offset, offset + length, GRAIN):
            end = min(at + GRAIN, offset + length)
            data = any(mine[at:end])
            if other is None or rough:  # where any of both holds data, as the reader tells it
                if data or (rough and any(other[at:end])):
                    found.add(at, end - at, True)
            elif mine[at:end] != other[at:end].ljust(end - at, b"\0"):
                found.add(at, end - at, data)
        return found

    def read(self, offset, length, done):
        assert not self.closed

        def work():
            assert not self.closed
            self.source.on_read(self.view)
            if any(offset <= at < offset + length for at in self.source.broken):
                done(EIO, b"")
            else:
                done(0, self.source.content(self.view.id)[offset : offset + length])

        self.source.pool.submit(work)


class Target:
    """A target. It outlives kills of its writer, which leave what was written."""

    def __init__(self, size, object_size=4096, seed=0):
        self.head = bytearray(size)
        self.taken = []  # (id, name, content)
        self.protected = set()  # ids
        self.numbers = 100
        self.mark = ""
        self.object_size = object_size
        self.lock = threading.Lock()
        self.chance = random.Random(seed)
        self.written = 0
        self.full_from = None  # writes from here on fail
        self.in_flight = self.most_in_flight = 0
        self.numbers_reserved = False  # of one snapshot in two

    def writer(self, lives=None):
        """A worker's access, which is killed after so many changes; None: never."""
        return TargetWriter(self, lives)


class TargetWriter:
    """A writer, until its process is killed."""

    def __init__(self, target, lives):
        self.target, self.lives = target, lives
        self.object_size = target.object_size
        self.dead = False
        self.pool = ThreadPoolExecutor(4)

    def end(self):
        """What is under way ends before anybody else writes: dead workers are fenced."""
        self.pool.shutdown()

    def _change(self, act):
        """One change, as one write of RADOS."""
        with self.target.lock:
            if self.lives is not None:
                self.lives -= 1
                self.dead |= self.lives < 0
            if not self.dead:
                act()

    def _now(self, act):
        self._change(act)
        if self.dead:
            raise Killed

    def snapshots(self):
        return [
            View(number, name, len(content), number in self.target.protected)
            for number, name, content in self.target.taken
        ]

    def resize(self, size):
        def act():
            del self.target.head[size:]
            self.target.head.extend(bytes(size - len(self.target.head)))

        self._now(act)

    def allocated(self, offset, length):
        found = ExtentList()
        for at in range(offset, offset + length, GRAIN):
            end = min(at + GRAIN, offset + length)
            if any(self.target.head[at:end]):
                found.add(at, end - at, True)
        return found

    def read(self, offset, length, done):
        self.pool.submit(lambda: done(0, bytes(self.target.head[offset : offset + length])))

    def write(self, offset, content, done):
        self._begin(offset, bytes(content), done)

    def write_zeroes(self, offset, length, done):
        self._begin(offset, bytes(length), done)

    def _begin(self, offset, content, done):
        target = self.target
        assert offset + len(content) <= len(target.head)
        with target.lock:
            target.in_flight += 1
            target.most_in_flight = max(target.most_in_flight, target.in_flight)

        def act():
            target.head[offset : offset + len(content)] = content
            target.written += len(content)

        def work():
            failed = target.full_from is not None and offset >= target.full_from
            if not failed:
                self._change(act)
            with target.lock:
                target.in_flight -= 1
            done(28 if failed else 0)

        self.pool.submit(work)

    def flush(self):
        if self.dead:
            raise Killed

    def complete_removals(self):
        """Here a snapshot is removed at once."""

    def take_snapshot(self, view):
        def act():
            self.target.numbers += 3
            self.target.taken.append((self.target.numbers, view.name, bytes(self.target.head)))

        self._now(act)

    def reserved_number(self):
        if not self.target.numbers_reserved or self.target.chance.random() < 0.5:
            return None
        self.target.numbers += 3
        return self.target.numbers

    def take_numbered(self, view, number, mark):
        assert all(number > other for other, _, _ in self.target.taken)
        assert CopyMark.from_json(self.target.mark).reserved == (0, number)

        def act():
            self.target.taken.append((number, view.name, bytes(self.target.head)))
            self.target.mark = mark

        self._now(act)

    def protect(self, snapshot, protected):
        ids = self.target.protected
        self._now(lambda: ids.add(snapshot.id) if protected else ids.remove(snapshot.id))

    def rename(self, snapshot, name):
        assert name not in [its for _, its, _ in self.target.taken]

        def act():
            self.target.taken = [
                (n, name if n == snapshot.id else its, content)
                for n, its, content in self.target.taken
            ]

        self._now(act)

    def remove(self, snapshot):
        assert snapshot.id not in self.target.protected

        def act():
            self.target.taken = [each for each in self.target.taken if each[0] != snapshot.id]

        self._now(act)

    def save_mark(self, text):
        def act():
            self.target.mark = text

        self._now(act)


class NoPace:
    """A throttle without a limit that counts."""

    def __init__(self):
        self.charged = 0

    def wait(self, size, *, patient=False):
        self.charged += size


def mark_of(target):
    """The mark that the target has."""
    return CopyMark.from_json(target.mark)
