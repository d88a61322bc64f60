"""The omap of the fake cluster, against a dict that is copied before each write."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.omap import Omap

names = st.sampled_from(["", "a", "ab", "b", "b.1", "b.2", "c"])
change = st.tuples(st.sampled_from(["set", "pop", "delete", "update"]), names)


class Fault(Exception):
    """What a write fails with."""


def apply(omap, kind, key, value):
    if kind == "set":
        omap[key] = value
    elif kind == "pop":
        omap.pop(key, None)
    elif kind == "update":
        omap.update({key: value, "ab": b"both %s" % value})
    elif key in omap:
        del omap[key]


@given(st.lists(st.tuples(st.lists(change, max_size=6), st.booleans())), st.booleans())
def test_a_write_is_done_or_undone(writes, asked_before):
    omap, model = Omap(), {}
    for number, (changes, fails) in enumerate(writes):
        if asked_before:
            omap.key_of(b"")
            list(omap.keys_after(""))
        after = dict(model)
        with contextlib.suppress(Fault), omap.all_or_nothing():
            for at, (kind, key) in enumerate(changes):
                value = b"%d.%d" % (number, at)
                apply(omap, kind, key, value)
                apply(after, kind, key, value)
            if fails:
                raise Fault
        model = model if fails else after
        assert omap == model
        for value in [b"%d.%d" % (number, at) for at in range(len(changes))]:
            key = omap.key_of(value)
            assert key in model if value in model.values() else key is None
        for start in ("", "a", "b", "b.1", "d"):
            assert list(omap.keys_after(start)) == sorted(k for k in model if k > start)
        assert list(omap.keys_after("", "b")) == sorted(k for k in model if k.startswith("b"))
        assert list(omap.keys_after("b.1", "b")) == [k for k in ("b.2",) if k in model]
