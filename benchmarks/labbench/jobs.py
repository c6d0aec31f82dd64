"""One contender, once, over a list of sizes: the times it took."""

import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from labbench.figures import BARRIER, MIB, size_text
from labbench.programs import run_gently

FRESH = "{fresh}"  # in a command: an empty folder of that run's own


@dataclass(frozen=True)
class Effort:
    iterations: int
    warm_up: int
    seconds: int  # for one size; then the row counts as not measured


@dataclass(frozen=True)
class Job:
    contender: str  # "hierarchical", "gloo bcube", ...
    command: list[str]
    sizes: tuple[int, ...]
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """Seconds per operation, by size; out of place and in place alike. `fault`: why there is no more."""

    times: dict[int, list[float]] = field(default_factory=dict)
    fault: str = ""
    wrong: int = 0
    reports: list[dict] = field(default_factory=list)  # of each run of the program, as it wrote it


def run(job: Job, effort: Effort, log: Path) -> Outcome:
    """The barrier, the small sizes, and each of the large ones in fresh processes: a slow one spoils its own only."""
    outcome = Outcome()
    small = tuple(size for size in job.sizes if BARRIER < size < 4 * MIB)
    groups = [(size,) for size in job.sizes if size == BARRIER or size >= 4 * MIB]
    if small:
        groups.insert(len(groups) and groups[0] == (BARRIER,), small)
    with tempfile.TemporaryDirectory() as folder:
        for group in groups:
            own = Path(folder) / str(group[0])
            own.mkdir()
            _run_sizes(job, effort, group, own, outcome, log)
            if outcome.fault:
                break
    return outcome


def _run_sizes(job: Job, effort: Effort, sizes: tuple[int, ...], folder: Path, outcome: Outcome, log: Path) -> None:
    what = ["--collective", "barrier"] if sizes == (BARRIER,) else ["--sizes", ",".join(str(size) for size in sizes)]
    iterations = effort.iterations * (1 if sizes[0] >= 4 * MIB else 3)
    report = folder / "report.json"
    command = [
        *(word.replace(FRESH, str(folder)) for word in job.command), *what, "-n", str(iterations), "-w", str(effort.warm_up), "-T", str(effort.seconds),
        "--json", str(report),
    ]
    with log.open("a", encoding="utf-8") as output:
        output.write(f"\n$ {' '.join(command)}\n")
        output.flush()
        try:
            code = run_gently(command, job.env, output, len(sizes) * effort.seconds + 60)
        except subprocess.TimeoutExpired:
            outcome.fault = f"{size_text(sizes[0])}: no end in sight"
            return
    if code not in (0, 3):
        outcome.fault = f"{size_text(sizes[0])}: exit code {code}"
        return
    seen = json.loads(report.read_text(encoding="utf-8"))
    outcome.reports.append(seen)
    for line in seen["results"]:
        times = outcome.times.setdefault(line["size"], [])
        for half in ("out_of_place", "in_place"):
            times += [time / 1e6 for time in line[half]["times_us"]]
            outcome.wrong += line[half]["nwrong"] or 0
