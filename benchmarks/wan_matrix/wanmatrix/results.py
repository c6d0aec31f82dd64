"""What was seen, and whether it is what was asked for."""

from dataclasses import dataclass, field

from labbench.figures import BARRIER, MIB, Figure, Series, size_text

from wanmatrix.scenarios import Scenario


@dataclass
class ScenarioResult:
    scenario: Scenario
    series: dict[tuple[str, int], Series] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    wrong: int = 0
    lab: dict[str, object] = field(default_factory=dict)
    skipped: str = ""

    def add(self, contender: str, size: int, times: list[float]) -> None:
        self.series.setdefault((contender, size), Series()).times += times

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.series))

    def best(self, prefix: str, size: int) -> tuple[str, float] | None:
        """The quickest of a contender's variants."""
        found = [
            (series.median, name)
            for (name, at), series in self.series.items()
            if at == size and name.split()[0] == prefix
        ]
        return (min(found)[1], min(found)[0]) if found else None

    def median(self, contender: str, size: int) -> float | None:
        found = self.best(contender, size)
        return found[1] if found else None


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def figures(result: ScenarioResult) -> list[Figure]:
    """The figures asked of a scenario, as measured."""
    scenario, name = result.scenario, result.scenario.name
    limits = scenario.limits
    subject = "auto" if "auto" in scenario.contenders else "hierarchical"
    own = {size: result.median(subject, size) for size in scenario.sizes}
    found: list[Figure] = []

    def add(key: str, text: str, value: float | None, **more: object) -> None:
        if key in limits:
            found.append(Figure(name, text, value, limits[key], **more))

    big, middle = own.get(64 * MIB), own.get(16 * MIB)
    add("floor_64M", "64 MiB / bare exchange", _ratio(big, result.median("floor", 64 * MIB)))
    add("bound_64M", "64 MiB / T_LB", _ratio(big, scenario.bound(64 * MIB)))
    add("bound_16M", "16 MiB / T_LB", _ratio(middle, scenario.bound(16 * MIB)))
    for size in (8, BARRIER):
        time = result.median(subject, size)
        over = None if time is None else (time - scenario.delay) * 1e3
        add("small_ms", f"{size_text(size)}: above the one-way delay", over, unit=" ms")
    add("ring", "64 MiB: speed-up over the flat ring", _ratio(result.median("ring", 64 * MIB), big), at_least=True)
    rings = [
        time
        for ring in ("ring", "gloo ring")
        if (series := result.series.get((ring, 16 * MIB))) and (time := series.median)
    ]
    add(
        "best_ring_16M", "16 MiB: speed-up over the best flat ring", _ratio(min(rings, default=None), middle),
        at_least=True,
    )
    peers = [time for peer in ("gloo", "mpi") if (time := result.median(peer, 64 * MIB))]
    add("peers_64M", "64 MiB: speed-up over the best of Gloo and Open MPI", _ratio(min(peers, default=None), big), at_least=True)
    return found
