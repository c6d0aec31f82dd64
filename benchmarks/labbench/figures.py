"""Times of one contender, and a figure asked for beside the one measured."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

KIB = 1 << 10
MIB = 1 << 20
PAYLOAD_SHARE = 1448 / 1500  # of an IP packet of 1500 bytes: IPv4, TCP with timestamps
BARRIER = 0  # stands for the barrier where a size is expected


def size_text(size: int) -> str:
    if size == BARRIER:
        return "barrier"
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def time_text(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s"


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


@dataclass
class Series:
    """All times of one contender for one size, in seconds."""

    times: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.times) < 2:
            return self.times[0], self.times[0]
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return low, high

    def as_json(self) -> dict[str, object]:
        return {"median_s": self.median, "p25_s": self.quartiles[0], "p75_s": self.quartiles[1], "times_s": self.times}

    def text(self, bound: float | None = None) -> str:
        """`median (quartiles)`, and its multiple of the bound."""
        low, high = self.quartiles
        text = f"{time_text(self.median)} ({time_text(low)}-{time_text(high)})"
        return text + (f" **{self.median / bound:.2f}**" if bound else "")


@dataclass(frozen=True)
class Figure:
    scenario: str
    text: str
    value: float | None  # None: could not be measured
    limit: float
    at_least: bool = False
    unit: str = ""

    @property
    def ok(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def as_json(self) -> dict[str, object]:
        return {
            "scenario": self.scenario, "figure": self.text, "value": self.value, "limit": self.limit,
            "at_least": self.at_least, "ok": self.ok,
        }


def figures_table(all_figures: Sequence[Figure]) -> str:
    lines = ["### Figures", "", row(["", "figure", "measured", "asked", ""]), row(["---"] * 5)]
    for figure in all_figures:
        verdict = {None: "not measured", True: "met", False: "**missed**"}[figure.ok]
        value = "-" if figure.value is None else f"{figure.value:.3f}{figure.unit}"
        sign = ">=" if figure.at_least else "<="
        lines.append(row([figure.scenario, figure.text, value, f"{sign} {figure.limit:g}{figure.unit}", verdict]))
    return "\n".join([*lines, ""])
