"""The fake cluster itself: what tests rely on."""

import sys
from errno import ECANCELED

import pytest

from tests.fakes import errors, rados_module
from tests.fakes.loading import load
from tests.fakes.simulation import Killed, Simulation, Stuck, running
from tests.fakes.stdlib import Condition, Event, Lock, Queue, Thread
from tests.fakes.world import World


def test_loading_leaves_nothing_behind_for_other_tests():
    before = {name: module for name, module in sys.modules.items() if "rbdmigrate" in name}
    bindings = sys.modules.get("rados"), sys.modules.get("rbd")
    engine = load().api
    assert vars(sys.modules["rbdmigrate"]).get("engine") is not engine
    assert (sys.modules.get("rados"), sys.modules.get("rbd")) == bindings
    for name, module in before.items():
        assert sys.modules[name] is module


def story(seed):
    """What three threads do that take turns by chance."""
    with running(Simulation(seed)) as simulation:
        told, queue = [], Queue()

        def work(name):
            for number in range(5):
                simulation.step()
                told.append((name, number))
            queue.put(name)

        for name in "abc":
            Thread(target=work, args=(name,)).start()
        ends = [queue.get() for _ in "abc"]
        return told, ends


def test_threads_take_the_same_turns_with_the_same_seed():
    assert story(1) == story(1)
    assert len({str(story(seed)) for seed in range(5)}) > 1


def test_waiting_takes_no_time_and_the_clock_shows_it():
    with running(Simulation()) as simulation:
        assert not Event().wait(86400.0)
        assert simulation.now == 86400.0


def test_a_condition_is_waited_for_without_its_lock():
    with running(Simulation()):
        condition, told = Condition(), []

        def tell():
            with condition:
                told.append(1)
                condition.notify_all()

        with condition:
            Thread(target=tell).start()
            assert condition.wait_for(lambda: told, 5.0)


def test_a_killed_process_stops_where_it_is():
    with running(Simulation()) as simulation:
        process, did = simulation.process("worker"), []

        def work():
            while True:
                did.append(1)
                simulation.sleep(1.0)

        simulation.spawn("work", work, process)
        simulation.sleep(3.5)
        simulation.kill(process)
        count = len(did)
        simulation.sleep(10.0)
        assert len(did) == count
        with simulation.acting_as(process), pytest.raises(Killed):
            simulation.step()


def test_a_deadlock_is_told():
    with running(Simulation()):
        lock = Lock()
        lock.acquire()
        with pytest.raises(Stuck):
            lock.acquire()


def test_a_write_is_done_as_a_whole_or_not_at_all():
    with World() as world:
        ioctx = world.client().ioctx("hdd/any")
        with rados_module.WriteOpCtx() as op:
            op.new(rados_module.LIBRADOS_CREATE_IDEMPOTENT)
            op.set_omap(("a",), (b"1",))
            ioctx.operate_write_op(op, "object")
        with rados_module.WriteOpCtx() as op:
            op.set_omap(("a",), (b"2",))
            op.omap_cmp("b", "something", rados_module.LIBRADOS_CMPXATTR_OP_EQ)
            with pytest.raises(errors.Error) as refused:
                ioctx.operate_write_op(op, "object")
        assert refused.value.errno == ECANCELED
        assert world.cluster.pool_named("hdd").objects[("", "object")].omap == {"a": b"1"}


def test_a_blocklisted_client_can_do_nothing_until_the_entry_expires():
    with World() as world:
        guest = world.client()
        ioctx = guest.ioctx("hdd/any")
        world.cluster.blocklist[guest.rados.client.address] = world.simulation.now + 60.0
        with pytest.raises(errors.ConnectionShutdown):
            ioctx.stat("object")
        world.jump_ahead(61.0)
        with pytest.raises(errors.ObjectNotFound):
            ioctx.stat("object")
