"""What is measured: links, hosts, sizes, and who takes part."""

from dataclasses import dataclass, field

from labbench.figures import KIB, MIB, PAYLOAD_SHARE

FULL_SIZES = (8, KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB)
QUICK_SIZES = (8, MIB, 16 * MIB, 64 * MIB)


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    lab: tuple[str, ...] = ()  # arguments of `lab run`; none: loopback, without a lab
    rate: float = 0.0  # bits/s; 0: unlimited
    delay: float = 0.0  # seconds, one way
    sizes: tuple[int, ...] = FULL_SIZES
    contenders: tuple[str, ...] = ("floor", "hierarchical", "ring", "gloo", "mpi")
    floor_cc: str = "bbr"
    # Large messages of contenders that crawl over a lossy line: measured once per round, up to this size.
    crawlers: tuple[str, ...] = ()
    crawler_limit: int = 16 * MIB
    limits: dict[str, float] = field(default_factory=dict)  # figures of merit, by name

    @property
    def ranks(self) -> int:
        return 4 if self.lab else 2

    def bound(self, size: int) -> float | None:
        """T_LB in seconds: the one-way delay and the bytes at the rate, headers off."""
        if not self.delay:
            return None
        return self.delay + (size * 8 / (self.rate * PAYLOAD_SHARE) if self.rate else 0.0)


def _path(settings: str, *more: str) -> tuple[str, ...]:
    return ("--sites", "2", "--hosts", "2", "--path", settings, *more)


_LINE = {"rate": 500e6, "delay": 0.025}
_FAST = {"floor_64M": 1.05, "bound_64M": 1.10, "bound_16M": 1.15, "small_ms": 1.0, "ring": 1.0}
_SLOW_PEERS = ("ring", "gloo", "mpi")

SCENARIOS = (
    Scenario(
        "a", "500 Mbit/s, 50 ms RTT, BBR hosts, no loss",
        _path("rate=500mbit,delay=25ms", "--cc", "bbr"), **_LINE, limits=_FAST,
    ),
    Scenario(
        "b", "500 Mbit/s, 50 ms RTT, BBR hosts, 0.1 % loss",
        _path("rate=500mbit,delay=25ms,loss=0.1%", "--cc", "bbr"), **_LINE, limits=_FAST,
    ),
    Scenario(
        "c", "500 Mbit/s, 50 ms RTT, CUBIC hosts, 0.1 % loss; BBR may be asked for",
        _path("rate=500mbit,delay=25ms,loss=0.1%", "--cc", "cubic"), **_LINE, limits=_FAST, crawlers=("gloo", "mpi"),
    ),
    Scenario(
        "d", "500 Mbit/s, 50 ms RTT, CUBIC hosts, 0.1 % loss; BBR may not be asked for",
        _path("rate=500mbit,delay=25ms,loss=0.1%", "--cc", "cubic", "--deny-cc", "bbr"), **_LINE,
        limits={"best_ring_16M": 3.0}, floor_cc="system", crawlers=("floor", *_SLOW_PEERS),
    ),
    Scenario(
        "e", "no rate limit, 50 ms RTT, BBR hosts: what the processors cost",
        _path("rate=none,delay=25ms", "--cc", "bbr"), delay=0.025, contenders=("floor", "hierarchical", "ring"),
    ),
    Scenario(
        "f", "2 ranks on loopback", contenders=("auto", "gloo", "mpi"), sizes=(8, 64 * KIB, MIB, 16 * MIB, 64 * MIB),
        limits={"peers_64M": 1.0},
    ),
)
