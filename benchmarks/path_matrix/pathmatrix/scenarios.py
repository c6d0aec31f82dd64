"""What is measured: paths or sites, hosts, sizes, and who takes part."""

from dataclasses import dataclass, field

from labbench.figures import KIB, MIB

from pathmatrix import bounds
from pathmatrix.bounds import Path

SIZES = (8, KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB)
QUICK_SIZES = (8, MIB, 64 * MIB)
# Each packet crosses two links: in pieces of 100 us, one packet each at these rates, two cores do not carry it.
QUANTUM = "1ms"
PREDICTED = (MIB, 16 * MIB, 64 * MIB)  # `longhaul plan` is to be right about these

BOTH = "all paths"


def alone(path: int) -> str:
    return f"p{path} alone"


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    paths: tuple[Path, ...] = ()  # between two sites; none: access links
    site_rates: tuple[float, ...] = ()  # of each site's access link
    delay: float = 0.0  # one way between sites, with access links
    sizes: tuple[int, ...] = SIZES
    contenders: tuple[str, ...] = ()
    faults: bool = False
    change: tuple[float, ...] = ()  # of the sites' rates, while a job runs
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def sites(self) -> int:
        return len(self.site_rates) or 2

    def lab(self, hosts: int) -> tuple[str, ...]:
        """Arguments of `lab run`."""
        words = ["--sites", str(self.sites), "--hosts", str(hosts), "--cc", "bbr"]
        for path in self.paths:
            words += ["--path", f"rate={path.rate:.0f}bit,delay={path.delay * 1e3:g}ms"]
        if self.site_rates:
            # An access link has half of the way; a bdp queue of the whole.
            words += ["--access", f"delay={self.delay / 2 * 1e3:g}ms"]
            for site, rate in enumerate(self.site_rates):
                queue = max(150_000, round(rate / 8 * 2 * self.delay))
                words += ["--access", f"s{site}:rate={rate:.0f}bit,queue={queue},quantum={QUANTUM}"]
        return tuple(words)

    def bound(self, size: int) -> float:
        if self.site_rates:
            return bounds.sites(size, self.site_rates, self.delay)
        return bounds.water_fill(size, self.paths)

    def topology(self, with_rates: bool) -> str:
        """The topology file."""
        text = ""
        for site in range(self.sites):
            text += f'[[site]]\nname = "s{site}"\n'
            if self.site_rates and with_rates:
                rate = f"{self.site_rates[site]:.0f}bit"
                text += f'wan = {{ up = "{rate}", down = "{rate}" }}\n'
        for path in self.paths:
            text += f'[[path]]\nbetween = ["s0", "s1"]\nrate = "{path.rate:.0f}bit"\ndelay = "{path.delay * 1e3:g}ms"\n'
        if self.site_rates:
            for a in range(self.sites):
                for b in range(a + 1, self.sites):
                    text += f'[[path]]\nbetween = ["s{a}", "s{b}"]\ndelay = "{self.delay * 1e3:g}ms"\n'
        return text


_SITES = ("auto", "sharded", "sharded, equal shares", "hierarchical", "ring")

SCENARIOS = (
    Scenario(
        "two", "two paths: 400 Mbit/s, 20 ms RTT; 100 Mbit/s, 80 ms RTT",
        paths=(Path(400e6, 0.010), Path(100e6, 0.040)), contenders=(BOTH, alone(0), alone(1)),
        limits={"bound_64M": 1.10, "alone": 1.03, "predicted": 0.15},
    ),
    Scenario(
        "three", "three paths: 300, 100, 30 Mbit/s; 10, 50, 150 ms RTT",
        paths=(Path(300e6, 0.005), Path(100e6, 0.025), Path(30e6, 0.075)), contenders=(BOTH, alone(0)),
        limits={"bound_64M": 1.12, "alone": 1.03, "predicted": 0.15},
    ),
    Scenario(
        "fail", "two paths of 200 Mbit/s, 50 ms RTT, of which one is broken now and then",
        paths=(Path(200e6, 0.025), Path(200e6, 0.025)), sizes=(16 * MIB,), faults=True,
        limits={"p95_added_ms": 3 * 50 + 200, "back_s": 2.0},
    ),
    Scenario(
        "sites3", "three sites of 150, 200, 250 Mbit/s, 25 ms one way",
        site_rates=(150e6, 200e6, 250e6), delay=0.025, sizes=PREDICTED, contenders=_SITES,
        limits={"bound_64M": 1.15, "predicted": 0.15},
    ),
    Scenario(
        "sites4", "four sites of 130, 200, 200, 200 Mbit/s, 25 ms one way",
        site_rates=(130e6, 200e6, 200e6, 200e6), delay=0.025, sizes=PREDICTED, contenders=_SITES,
        limits={"bound_64M": 1.15, "predicted": 0.15},
    ),
    Scenario(
        "change", "three sites of 150, 200, 250 Mbit/s, 25 ms one way; the last one's line then has 100 for good",
        site_rates=(150e6, 200e6, 250e6), delay=0.025, sizes=(16 * MIB,), change=(150e6, 200e6, 100e6),
        limits={"old_shares": 0.8, "settled_after": 48},
    ),
)
