"""Curves of several runs: the file they are kept in, their means, what they come to."""

import csv
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("variant", "seed", "step", "seconds", "training_loss", "validation_loss", "wan_bytes")
FINAL = 3  # validations whose mean is the final loss
PLAIN = "none"  # the variant that the others are held against


@dataclass(frozen=True)
class Point:
    step: int
    seconds: float
    training_loss: float
    validation_loss: float
    wan_bytes: int


@dataclass
class Run:
    """One training."""

    variant: str
    seed: int
    points: list[Point]

    @property
    def final_loss(self) -> float:
        return statistics.mean(point.validation_loss for point in self.points[-FINAL:])


@dataclass
class Summary:
    """Means over the seeds of one variant."""

    variant: str
    curve: list[Point]
    final_loss: float
    lowest: float  # of the seeds' final losses
    highest: float
    difference: float | None  # of the final loss to the plain variant's with the same seeds, of which it is a fraction

    @property
    def seconds(self) -> float:
        return self.curve[-1].seconds

    @property
    def bytes_per_step(self) -> float:
        return self.curve[-1].wan_bytes / self.curve[-1].step


def point_of(row: dict[str, str]) -> Point:
    losses = float(row["training_loss"]), float(row["validation_loss"])
    return Point(int(row["step"]), float(row["seconds"]), *losses, int(row["wan_bytes"]))


def read_points(file: Path) -> list[Point]:
    """What train_two_sites wrote."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [point_of(row) for row in csv.DictReader(lines)]


def write(file: Path, runs: Sequence[Run]) -> None:
    with file.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(COLUMNS)
        for run in runs:
            for point in run.points:
                losses = f"{point.training_loss:.5f}", f"{point.validation_loss:.5f}"
                writer.writerow([run.variant, run.seed, point.step, f"{point.seconds:.3f}", *losses, point.wan_bytes])


def read(file: Path) -> list[Run]:
    """What `write` wrote."""
    runs: dict[tuple[str, int], Run] = {}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = row["variant"], int(row["seed"])
            runs.setdefault(key, Run(*key, [])).points.append(point_of(row))
    return list(runs.values())


def summaries(runs: Sequence[Run]) -> list[Summary]:
    """One for each variant, in the order in which they come."""
    plain = {run.seed: run for run in runs if run.variant == PLAIN}
    found = []
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [run for run in runs if run.variant == variant]
        losses = [run.final_loss for run in own]
        pairs = [(run.final_loss, plain[run.seed].final_loss) for run in own if run.seed in plain]
        difference = statistics.mean(a for a, _ in pairs) / statistics.mean(b for _, b in pairs) - 1 if pairs else None
        found.append(Summary(variant, _mean_curve(own), statistics.mean(losses), min(losses), max(losses), difference))
    return found


def _mean_curve(runs: Sequence[Run]) -> list[Point]:
    points = []
    for same_step in zip(*(run.points for run in runs)):
        columns = [[getattr(point, name) for point in same_step] for name in COLUMNS[3:]]
        seconds, training, validation, wan_bytes = (statistics.mean(column) for column in columns)
        points.append(Point(same_step[0].step, seconds, training, validation, round(wan_bytes)))
    return points


def table(found: Sequence[Summary]) -> str:
    """As Markdown."""
    plain = next((each for each in found if each.variant == PLAIN), None)
    lines = [
        "| variant | final validation loss | seeds | to none | time | between sites, per step | of none |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in found:
        fewer = plain.bytes_per_step / each.bytes_per_step if plain and each.bytes_per_step else 0
        cells = [
            each.variant,
            f"{each.final_loss:.4f}",
            f"{each.lowest:.4f}-{each.highest:.4f}",
            "-" if each.difference is None else f"{each.difference:+.2%}",
            f"{each.seconds:.0f} s",
            f"{each.bytes_per_step / 1e6:.3f} MB",
            f"1/{fewer:.2f}" if fewer else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
