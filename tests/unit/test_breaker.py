"""The circuit breaker, with a clock that the test turns."""

from errno import ECONNREFUSED, ENOSPC

from rbdmigrate.control.lifecycle.circuit_breaker import (
    FIRST_WAIT,
    LONGEST_WAIT,
    THRESHOLD,
    CircuitBreaker,
)


def broken(times: int, errno: int = ECONNREFUSED) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for _ in range(times):
        breaker.failed("a", errno, 100.0)
    return breaker


def test_a_few_failures_do_not_stop_the_others():
    breaker = broken(THRESHOLD - 1)
    assert breaker.wait("a", 100.0) == 0
    assert not breaker.open("a")


def test_a_source_that_does_not_answer_rests_and_others_do_not():
    breaker = broken(THRESHOLD)
    assert breaker.wait("a", 100.0) == FIRST_WAIT
    assert breaker.wait("b", 100.0) == 0
    assert breaker.wait("a", 100.0 + FIRST_WAIT) == 0
    assert breaker.open("a"), "after the wait one at a time may try"


def test_each_failed_try_doubles_the_wait_up_to_a_cap():
    assert broken(THRESHOLD + 1).wait("a", 100.0) == 2 * FIRST_WAIT
    assert broken(THRESHOLD + 40).wait("a", 100.0) == LONGEST_WAIT


def test_one_success_closes_the_circuit():
    breaker = broken(THRESHOLD + 3)
    breaker.succeeded("a")
    assert breaker.wait("a", 100.0) == 0
    assert not breaker.open("a")


def test_an_image_in_trouble_says_nothing_of_its_source():
    assert not broken(THRESHOLD * 2, ENOSPC).open("a")
