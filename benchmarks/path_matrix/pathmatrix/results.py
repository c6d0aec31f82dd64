"""What was seen, and whether it is what was asked for."""

from dataclasses import dataclass, field

from labbench.figures import MIB, Figure, Series, size_text

from pathmatrix import bounds
from pathmatrix.change import ChangeSeen
from pathmatrix.contenders import subject
from pathmatrix.faults import FaultSeen, quantile
from pathmatrix.scenarios import BOTH, PREDICTED, Scenario, alone

SLACK = 0.2e-3  # seconds that small messages may take more than over the better path alone


@dataclass
class ScenarioResult:
    scenario: Scenario
    series: dict[tuple[str, int], Series] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)  # contenders that failed, and why
    broken: list[FaultSeen] = field(default_factory=list)
    changed: list[ChangeSeen] = field(default_factory=list)
    predicted: dict[int, float] = field(default_factory=dict)
    shares: dict[str, list[dict]] = field(default_factory=dict)  # paths at the end of a contender's last run
    wrong: int = 0
    failed: int = 0  # operations that ended with an error
    seed: int = 0
    lab: dict[str, object] = field(default_factory=dict)
    skipped: str = ""

    def add(self, contender: str, size: int, times: list[float]) -> None:
        self.series.setdefault((contender, size), Series()).times += times

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.series))

    def median(self, contender: str, size: int) -> float | None:
        series = self.series.get((contender, size))
        return series.median if series and series.times else None


def figures(result: ScenarioResult) -> list[Figure]:
    if result.scenario.change:
        return change_figures(result)
    return fault_figures(result) if result.scenario.faults else time_figures(result)


def time_figures(result: ScenarioResult) -> list[Figure]:
    scenario, limits = result.scenario, result.scenario.limits
    own = subject(scenario)
    found: list[Figure] = []
    big = result.median(own, 64 * MIB)
    ratio = big / scenario.bound(64 * MIB) if big else None
    found.append(Figure(scenario.name, f"64 MiB, {own} / bound", ratio, limits["bound_64M"]))
    if scenario.paths:
        for size in scenario.sizes:
            here, other = result.median(BOTH, size), result.median(alone(0), size)
            over = (here - SLACK) / other if here and other else None
            text = f"{size_text(size)}: (all paths - {SLACK * 1e3:g} ms) / the better one alone"
            found.append(Figure(scenario.name, text, over, limits["alone"]))
    for size in (size for size in PREDICTED if size in scenario.sizes):
        time, guess = result.median(own, size), result.predicted.get(size)
        off = abs(guess / time - 1) if time and guess else None
        found.append(Figure(scenario.name, f"{size_text(size)}: prediction off by", off, limits["predicted"]))
    return found


def old_shares(scenario: Scenario) -> float:
    """What an operation takes after the change, at the least, if shares stay."""
    return bounds.by_shares(scenario.sizes[0], scenario.change, scenario.delay, scenario.site_rates)


def new_shares(scenario: Scenario) -> float:
    """What any takes."""
    return bounds.sites(scenario.sizes[0], scenario.change, scenario.delay)


def change_figures(result: ScenarioResult) -> list[Figure]:
    scenario, limits = result.scenario, result.scenario.limits
    worst = max((seen.settled for seen in result.changed), default=None)
    longest = max((float(seen.settled_after) for seen in result.changed), default=None)
    ratio = worst / old_shares(scenario) if worst else None
    return [
        Figure(scenario.name, "in the end / the least that the old shares allow, most of all jobs", ratio, limits["old_shares"]),
        Figure(scenario.name, "operations until then, most of all jobs", longest, limits["settled_after"]),
        Figure(scenario.name, "wrong elements", float(result.wrong), 0),
        Figure(scenario.name, "jobs that failed", float(result.failed), 0),
    ]


def fault_figures(result: ScenarioResult) -> list[Figure]:
    scenario, limits = result.scenario, result.scenario.limits
    found: list[Figure] = []
    for kind in dict.fromkeys(seen.kind for seen in result.broken):
        added = [seen.added * 1e3 for seen in result.broken if seen.kind == kind]
        found.append(
            Figure(scenario.name, f"{kind}: added time, p95 of {len(added)}", quantile(added, 0.95), limits["p95_added_ms"], unit=" ms")
        )
    for kind in dict.fromkeys(seen.kind for seen in result.broken if seen.back is not None):
        back = [seen.back for seen in result.broken if seen.kind == kind and seen.back is not None]
        found.append(Figure(scenario.name, f"{kind}: until the path carries data again, longest of {len(back)}", max(back), limits["back_s"], unit=" s"))
    found.append(Figure(scenario.name, "wrong elements", float(result.wrong), 0))
    found.append(Figure(scenario.name, "operations that failed", float(result.failed), 0))
    return found
