"""The latency guard in a simulated cluster, whose latency grows as its disks get busy."""

import random
import statistics

import pytest

from rbdmigrate.control.pace.latency_guard import GuardSettings, LatencyGuard, MiB, Sample

FACTOR = 1.5


class Cluster:
    """One queue: operations take ``service`` seconds, and longer the busier it is (M/M/1)."""

    def __init__(self, settings=None, *, clients=50.0, capacity=200.0, noise=0.0, seed=1) -> None:
        self.guard = LatencyGuard(settings or GuardSettings(factor=FACTOR))
        self.clients, self.capacity, self.noise = clients, capacity, noise  # MiB/s
        self.copies_want = 10_000.0
        self.ops = 500
        self.random = random.Random(seed)
        self.now = 0.0
        self.rates: list[float] = []  # MiB/s that were copied
        self.latencies: list[float] = []  # the true ones
        self.true_baseline = self.latency(0)

    def latency(self, copied: float) -> float:
        busy = min(0.99, (self.clients + copied) / self.capacity)
        return 0.002 / (1 - busy)

    def best(self) -> float:
        """The highest rate that keeps the clients within the factor."""
        free = 1 - self.clients / self.capacity
        return self.capacity * free * (1 - 1 / FACTOR)

    def run(self, seconds: int, copying: bool = True) -> None:
        """Second by second; what was measured of this run is in ``rates`` and ``latencies``."""
        self.rates, self.latencies = [], []
        for _ in range(seconds):
            allowed = self.guard.rate(self.now) / MiB
            copied = min(allowed, self.copies_want, self.capacity) if copying else 0.0
            true = self.latency(copied)
            seen = true * self.random.lognormvariate(0, self.noise)
            self.now += 1
            measured = copied * MiB if copying else None
            self.guard.feed(Sample(self.now, seen, self.ops, measured))
            self.rates.append(copied)
            self.latencies.append(true)

    def share_over(self, factor: float) -> float:
        """The part of the last run in which the clients waited longer than they should."""
        base = self.latency(0)
        return sum(lat > factor * base for lat in self.latencies) / len(self.latencies)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("clients", [20.0, 50.0, 120.0])
def test_the_clients_stay_within_the_factor_and_the_copies_get_the_rest(clients, noise):
    cluster = Cluster(clients=clients, noise=noise)
    cluster.run(60, copying=False)
    cluster.run(120)
    cluster.run(900)
    assert statistics.fmean(cluster.latencies) <= FACTOR * cluster.latency(0)
    assert cluster.share_over(FACTOR) < 0.05
    assert cluster.share_over(FACTOR * 1.15) < 0.01
    assert statistics.fmean(cluster.rates) > 0.5 * cluster.best()


@pytest.mark.parametrize("seed", range(10))
def test_noise_does_not_drive_it_to_the_floor(seed):
    cluster = Cluster(GuardSettings(factor=FACTOR, probe=1e9), noise=0.3, seed=seed)
    cluster.run(60, copying=False)
    cluster.run(60)
    cluster.run(600)
    assert min(cluster.rates) > 0.1 * cluster.best()


def test_single_outliers_move_nothing():
    cluster = Cluster()
    cluster.run(60, copying=False)
    cluster.run(300)
    before = cluster.guard.rate(cluster.now)
    for _ in range(10):
        cluster.now += 1
        copied = cluster.guard.rate(cluster.now)
        cluster.guard.feed(Sample(cluster.now, 5.0, 500, copied))
        cluster.run(4)
    assert cluster.guard.rate(cluster.now) >= before


def test_it_makes_room_when_the_clients_need_more_and_takes_it_back():
    cluster = Cluster(clients=20.0)
    cluster.run(60, copying=False)
    cluster.run(500)
    quiet = statistics.fmean(cluster.rates[-100:])
    allowed = FACTOR * cluster.latency(0)
    cluster.clients = 70.0
    cluster.run(90)
    assert statistics.fmean(cluster.rates[-30:]) < quiet / 2
    assert statistics.fmean(cluster.latencies[-30:]) < allowed * 1.1
    cluster.clients = 20.0
    cluster.run(600)
    assert statistics.fmean(cluster.rates[-100:]) > 0.8 * quiet


def test_it_reacts_within_seconds():
    cluster = Cluster(clients=20.0)
    cluster.run(60, copying=False)
    cluster.run(600)
    before = cluster.rates[-1]
    cluster.clients = 100.0
    cluster.run(10)
    assert cluster.rates[-1] <= 0.71 * before


def test_a_cut_comes_at_most_once_an_interval():
    cluster = Cluster(GuardSettings(factor=FACTOR, start=150 * MiB), clients=60.0)
    cluster.run(60, copying=False)
    cluster.run(60)
    cuts = [n for n in range(1, 60) if cluster.rates[n] < cluster.rates[n - 1]]
    assert cuts
    assert all(later - earlier >= 3 for earlier, later in zip(cuts, cuts[1:]))
    for n in cuts:
        assert cluster.rates[n] == pytest.approx(0.7 * cluster.rates[n - 1])


def test_copies_never_starve_and_clients_that_are_slow_by_themselves_are_no_reason_to():
    cluster = Cluster(clients=20.0)
    cluster.run(60, copying=False)
    cluster.clients = 150.0  # for good, and by itself beyond the factor
    cluster.run(300)
    assert min(cluster.rates) >= 1
    cluster.run(900)
    assert min(cluster.rates) >= 1
    assert statistics.fmean(cluster.rates) > 0.5 * cluster.best()
    assert cluster.share_over(FACTOR * 1.15) < 0.10


def test_a_baseline_that_is_old_is_learnt_again():
    cluster = Cluster(clients=150.0)
    cluster.run(60, copying=False)
    cluster.clients = 20.0
    cluster.run(3600)
    assert cluster.guard.baseline == pytest.approx(cluster.latency(0), rel=0.1)
    assert cluster.rates.count(1.0) < 0.03 * 3600, "and that costs little"
    assert cluster.share_over(FACTOR * 1.15) < 0.30


def test_without_a_baseline_it_learns_at_the_floor():
    cluster = Cluster()
    cluster.run(15)
    assert set(cluster.rates) == {1.0}
    cluster.run(1)
    assert cluster.guard.baseline == pytest.approx(cluster.true_baseline, rel=0.05)
    cluster.run(120)
    cluster.run(600)
    assert statistics.fmean(cluster.rates) > 0.5 * cluster.best()
    assert cluster.share_over(FACTOR * 1.15) < 0.10


def test_without_clients_there_is_no_limit_but_the_ceiling():
    cluster = Cluster(GuardSettings(factor=FACTOR, ceiling=180 * MiB), clients=0.0)
    cluster.ops = 0
    cluster.run(60)
    assert cluster.rates[-1] == 180
    cluster.ops, cluster.clients = 500, 50.0
    cluster.run(10)
    assert cluster.rates[-1] == 1, "clients turned up, and nothing is known of them"


def test_copies_that_do_not_use_their_rate_do_not_raise_it():
    cluster = Cluster()
    cluster.copies_want = 5.0
    cluster.run(60, copying=False)
    cluster.run(300)
    assert cluster.guard.rate(cluster.now) == GuardSettings().start


def test_a_new_idle_time_makes_a_new_baseline():
    cluster = Cluster(clients=100.0)
    cluster.run(60, copying=False)
    cluster.run(60)
    cluster.clients = 20.0
    cluster.run(10, copying=False)
    assert cluster.guard.baseline == pytest.approx(cluster.latency(0))


def test_blind_it_allows_the_floor_alone():
    cluster = Cluster()
    assert cluster.guard.rate(0.0) == MiB
    assert "Nothing is known" in cluster.guard.explain(0.0)
    cluster.run(60, copying=False)
    assert cluster.guard.rate(cluster.now) == 16 * MiB
    assert cluster.guard.rate(cluster.now + 31) == MiB


def test_it_says_how_it_stands():
    cluster = Cluster()
    cluster.run(1)
    assert cluster.guard.explain(cluster.now) == (
        "The clients' latency is being learnt; copies may make 1 MiB/s together."
    )
    cluster.run(60, copying=False)
    assert cluster.guard.explain(cluster.now) == (
        "The clients' latency is 2.67 ms without copies (allowed: 1.5 times); copies may make "
        "1 MiB/s together."
    )
    cluster.run(1)
    assert cluster.guard.explain(cluster.now).startswith(
        "The clients' latency is 2.68 ms, 1.01 times the 2.67 ms without copies"
    )


def test_a_factor_is_above_one():
    with pytest.raises(ValueError, match="factor"):
        LatencyGuard(GuardSettings(factor=1.0))
