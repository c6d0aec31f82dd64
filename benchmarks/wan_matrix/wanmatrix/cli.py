"""The command line of the matrix."""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from labbench import jobs, labs, programs
from labbench.ending import conclude, log_file
from labbench.figures import BARRIER, Figure
from labbench.labs import say

from wanmatrix import contenders, output
from wanmatrix.results import ScenarioResult, figures
from wanmatrix.scenarios import QUICK_SIZES, SCENARIOS, Scenario

DESCRIPTION = """
Runs longhaul's all-reduce (site-hierarchical and flat ring), the bare exchange
of the same bytes, and Gloo and Open MPI where they are installed, over emulated
long-haul links. All contenders take turns in one lab, round by round, so that
what else the machine does meets them alike. Prints a table per scenario, with
the median, its quartiles and its multiple of the lower bound T_LB, then what
was asked for beside what was measured.
"""

EPILOG = "scenarios\n" + "\n".join(f"  {s.name}  {s.title}" for s in SCENARIOS) + """

Labs need root, or a user namespace; CUBIC as the hosts' default needs root.
exit code: 0; 1 if a result was wrong, or with --strict a figure was missed.
"""


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = "".join(s.name for s in SCENARIOS)
    parser.add_argument("--scenarios", default=names, metavar="LETTERS", help=f"which ({names})")
    parser.add_argument("--build", type=Path, default=programs.ROOT / "build" / "release", help="build folder (build/release)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every contender (5)")
    parser.add_argument("--iterations", type=int, default=2, help="timed iterations per turn, each both out of place and in place (2)")
    parser.add_argument("--quick", action="store_true", help="few sizes, 3 rounds, no other libraries over the WAN")
    parser.add_argument("--only", default="", metavar="NAME,...", help="contenders: floor, hierarchical, ring, auto, gloo, mpi")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was seen")
    parser.add_argument("--log", type=Path, default=None, metavar="FILE", help="what the programs printed")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a figure was missed")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)  # the plan of the scenario this lab is for
    options = parser.parse_args(argv)
    unknown = set(options.scenarios) - set(names)
    if unknown:
        parser.error(f"--scenarios {options.scenarios}: letters of {names}")
    return options


def adjusted(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    """The scenario as the options have it."""
    names, sizes = scenario.contenders, scenario.sizes
    if options.quick:
        sizes = tuple(size for size in QUICK_SIZES if size in sizes)
        if scenario.lab:
            names = tuple(name for name in names if name not in ("gloo", "mpi"))
    if options.only:
        wanted = options.only.split(",")
        names = tuple(name for name in names if name in wanted)
    if scenario.lab and scenario.limits.get("small_ms"):
        sizes = (BARRIER, *sizes)
    return replace(scenario, contenders=names, sizes=sizes)


def measure(scenario: Scenario, options: argparse.Namespace, found: programs.Tools, log: Path) -> ScenarioResult:
    """All rounds, where the scenario's network is."""
    result = ScenarioResult(scenario)
    names = [name for contender in scenario.contenders for name in contenders.variants(contender, found)]
    rounds = 3 if options.quick else options.rounds
    for turn in range(1, rounds + 1):
        for name in names:
            if name in result.faults:
                continue  # it was slow or broken; more of it would only cost time
            begin = time.monotonic()
            slow = name.split()[0] in scenario.crawlers
            effort = jobs.Effort(1 if slow else options.iterations, 0 if slow else 2, 120)
            outcome = jobs.run(contenders.make(name, scenario, found), effort, log)
            for size, times in outcome.times.items():
                result.add(name, size, times)
            result.wrong += outcome.wrong
            if outcome.fault:
                result.faults[name] = outcome.fault
            say(f"[{scenario.name}] round {turn}/{rounds} {name}: {time.monotonic() - begin:.0f} s {outcome.fault}")
    return result


def inside(options: argparse.Namespace) -> int:
    """In the lab: measures, and leaves what it saw beside the plan."""
    plan = json.loads(options.inside.read_text(encoding="utf-8"))
    scenario = next(s for s in SCENARIOS if s.name == plan["scenario"])
    result = measure(adjusted(scenario, options), options, programs.find(options.build), Path(plan["log"]))
    stats = subprocess.run([programs.LAB, "stats"], capture_output=True, text=True, check=False)
    seen = {
        "series": [[name, size, series.times] for (name, size), series in result.series.items()],
        "faults": result.faults,
        "wrong": result.wrong,
        "lab": json.loads(stats.stdout) if stats.returncode == 0 else {},
    }
    Path(plan["result"]).write_text(json.dumps(seen), encoding="utf-8")
    return 0


def in_lab(scenario: Scenario, options: argparse.Namespace, argv: list[str], found: programs.Tools, log: Path) -> ScenarioResult:
    """Raises the scenario's lab and has this program run in it."""
    result = ScenarioResult(adjusted(scenario, options))
    own = [sys.executable, str(Path(__file__).resolve().parents[1] / "run"), *argv]
    data = labs.run_inside(
        f"wm{os.getpid()}{scenario.name}", scenario.lab, found.link, own, {"scenario": scenario.name, "log": str(log)}
    )
    if isinstance(data, str):
        result.skipped = data
        return result
    for name, size, times in data["series"]:
        result.add(name, size, times)
    result.faults, result.wrong, result.lab = data["faults"], data["wrong"], data["lab"]
    return result


def main(argv: list[str]) -> int:
    options = parse(argv)
    labs.end_on_signals()
    options.build = options.build.resolve()
    if options.inside:
        return inside(options)
    found = programs.find(options.build)
    machine = programs.machine()
    log = log_file(options, "wan_matrix")
    results: list[ScenarioResult] = []
    all_figures: list[Figure] = []
    for scenario in (s for s in SCENARIOS if s.name in options.scenarios):
        if scenario.lab:
            result = in_lab(scenario, options, argv, found, log)
        else:
            result = measure(adjusted(scenario, options), options, found, log)
        results.append(result)
        all_figures += figures(result)
        print(output.table(result), flush=True)
    missed = conclude(options, machine, all_figures, [output.as_json(result) for result in results])
    return 1 if missed or any(result.wrong for result in results) else 0
