"""The command line of the matrix of paths and sites."""

import argparse
import json
import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from labbench import jobs, labs, programs
from labbench.ending import conclude, log_file
from labbench.figures import Figure, Series
from labbench.labs import say
from labtool.lab import Lab

from pathmatrix import contenders, output
from pathmatrix.change import ChangeSeen, watch
from pathmatrix.faults import Breaker, FaultSeen, Running
from pathmatrix.results import ScenarioResult, figures
from pathmatrix.scenarios import QUICK_SIZES, SCENARIOS, Scenario

DESCRIPTION = """
Runs longhaul's all-reduce over emulated lines that consist of several unequal
paths, and between sites of unequal access links. All contenders of a scenario
take turns in one lab, round by round, so that what else the machine does meets
them alike. Prints a table per scenario, with the median, its quartiles and its
multiple of the least time that the lines allow, then what was asked for beside
what was measured. Scenario fail breaks one of two paths at random instants of
running operations, every one of which is checked element by element. Scenario
change slows a site's line down for good while a job runs.
"""

EPILOG = "scenarios\n" + "\n".join(f"  {s.name:8}{s.title}" for s in SCENARIOS) + """

Labs need root, or a user namespace.
exit code: 0; 1 if a result was wrong, or with --strict a figure was missed.
"""


CHANGES = 3  # jobs of scenario change, at most: a few minutes each


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--scenarios", default=",".join(names), metavar="NAME,...", help=f"which ({','.join(names)})")
    parser.add_argument("--build", type=Path, default=programs.ROOT / "build" / "release", help="build folder (build/release)")
    parser.add_argument("--hosts", type=int, default=1, metavar="N", help="hosts of every site, with a rank each (1)")
    parser.add_argument("--rounds", type=int, default=5, help=f"turns of every contender (5); jobs of scenario change, {CHANGES} at most")
    parser.add_argument("--iterations", type=int, default=2, help="timed iterations per turn, each both out of place and in place (2)")
    parser.add_argument("--faults", type=int, default=100, metavar="N", help="of scenario fail, of all kinds together (100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the faults' instants; 0: another one each time (0)")
    parser.add_argument("--quick", action="store_true", help="few sizes, 3 rounds, 12 faults")
    parser.add_argument("--only", default=[], action="append", metavar="NAME", help="this contender; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was seen")
    parser.add_argument("--log", type=Path, default=None, metavar="FILE", help="what the programs printed")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a figure was missed")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)  # the plan of the scenario this lab is for
    options = parser.parse_args(argv)
    options.scenarios = options.scenarios.split(",")
    unknown = set(options.scenarios) - set(names)
    if unknown:
        parser.error(f"--scenarios {','.join(sorted(unknown))}: there are {', '.join(names)}")
    if options.quick:
        options.rounds, options.faults = min(options.rounds, 3), min(options.faults, 12)
    return options


def adjusted(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    """The scenario as the options have it."""
    sizes, names = scenario.sizes, scenario.contenders
    if options.quick and scenario.contenders:
        sizes = tuple(size for size in QUICK_SIZES if size in sizes)
    if options.only:
        names = tuple(name for name in names if name in options.only)
    return replace(scenario, sizes=sizes, contenders=names)


def measure(scenario: Scenario, options: argparse.Namespace, found: programs.Tools, log: Path, files: contenders.Files) -> ScenarioResult:
    """All rounds of all contenders."""
    result = ScenarioResult(scenario)
    result.predicted = contenders.predicted(scenario, files, options.hosts, found)
    for turn in range(1, options.rounds + 1):
        for name in scenario.contenders:
            if name in result.faults:
                continue  # more of it would only cost time
            begin = time.monotonic()
            job = contenders.make(name, scenario, files, found)
            outcome = jobs.run(job, jobs.Effort(options.iterations, 2, 120), log)
            for size, times in outcome.times.items():
                result.add(name, size, times)
            result.wrong += outcome.wrong
            if outcome.reports:
                result.shares[name] = outcome.reports[-1].get("paths", [])
            if outcome.fault:
                result.faults[name] = outcome.fault
            say(f"[{scenario.name}] round {turn}/{options.rounds} {name}: {time.monotonic() - begin:.0f} s {outcome.fault}")
    return result


def break_paths(scenario: Scenario, options: argparse.Namespace, found: programs.Tools, log: Path) -> ScenarioResult:
    """As many faults as asked for, over as many jobs as that takes."""
    result = ScenarioResult(scenario)
    result.seed = options.seed or random.randrange(1, 1 << 31)
    size = scenario.sizes[0]
    breaker = Breaker(Lab(os.environ["LONGHAUL_LAB"]), scenario.paths, size, result.seed)
    env = contenders.path_env(list(range(len(scenario.paths))))
    command = contenders.spread(env, found, "--each", "--sizes", str(size), "-n", "1000000", "-w", "2")
    left = breaker.kinds(options.faults)
    total = len(left)
    while left and result.failed < 10:
        with Running(command, log) as job:
            job.next_start(60)  # the first ones are not like the others
            while left:
                seen = breaker.once(job, left[-1])
                if seen is None:
                    break
                left.pop()
                result.broken.append(seen)
                back = "" if seen.back is None else f", back after {seen.back:.2f} s"
                say(f"[{scenario.name}] {total - len(left)}/{total} {seen.kind} at {seen.into * 1e3:.0f} ms: {seen.added * 1e3:+.0f} ms{back}")
        result.wrong += job.wrong
        if left:
            result.failed += 1
            say(f"[{scenario.name}] {left[-1].name}: the job did not go on; see the log")
            left.insert(0, left.pop())
    return result


def change_lines(scenario: Scenario, options: argparse.Namespace, found: programs.Tools, log: Path, files: contenders.Files) -> ScenarioResult:
    """A job after another, each of which begins with the lines as they were."""
    result = ScenarioResult(scenario)
    lab = Lab(os.environ["LONGHAUL_LAB"])
    env = {"LONGHAUL_INTERFACES": "lan", "LONGHAUL_TOPOLOGY": str(files.rates)}
    command = contenders.spread(env, found, "--each", "--sizes", str(scenario.sizes[0]), "-n", "1000000", "-w", "2")
    for turn in range(1, min(options.rounds, CHANGES) + 1):
        for site, rate in enumerate(scenario.site_rates):
            lab.set(f"s{site}", [f"rate={rate:.0f}bit"])
        with Running(command, log) as job:
            seen = watch(job, lab, scenario)
        result.wrong += job.wrong
        if seen is None:
            result.failed += 1
            say(f"[{scenario.name}] job {turn} did not go on; see the log")
            continue
        result.changed.append(seen)
        say(f"[{scenario.name}] job {turn}: {seen.usual:.2f} s, after the change {seen.settled:.2f} s from operation {seen.settled_after} on")
    return result


def inside(options: argparse.Namespace) -> int:
    """In the lab: measures, and leaves what it saw where the plan says."""
    plan = json.loads(options.inside.read_text(encoding="utf-8"))
    scenario = adjusted(next(s for s in SCENARIOS if s.name == plan["scenario"]), options)
    found, log = programs.find(options.build), Path(plan["log"])
    files = contenders.Files.write(scenario, options.inside.parent)
    if scenario.faults:
        result = break_paths(scenario, options, found, log)
    elif scenario.change:
        result = change_lines(scenario, options, found, log, files)
    else:
        result = measure(scenario, options, found, log, files)
    seen = {
        "series": [[name, size, series.times] for (name, size), series in result.series.items()],
        "broken": [vars(fault) for fault in result.broken],
        "changed": [vars(seen) for seen in result.changed],
        "predicted": list(result.predicted.items()),
        "lab": Lab(os.environ["LONGHAUL_LAB"]).stats(None, reset=False),
    } | {key: getattr(result, key) for key in PLAIN}
    Path(plan["result"]).write_text(json.dumps(seen), encoding="utf-8")
    return 0


PLAIN = ("faults", "shares", "wrong", "failed", "seed")  # what travels as it is


def in_lab(scenario: Scenario, options: argparse.Namespace, argv: list[str], found: programs.Tools, log: Path) -> ScenarioResult:
    """Raises the scenario's lab and has this program run in it."""
    result = ScenarioResult(adjusted(scenario, options))
    own = [sys.executable, str(Path(__file__).resolve().parents[1] / "run"), *argv]
    plan = {"scenario": scenario.name, "log": str(log)}
    data: dict[str, Any] | str = labs.run_inside(f"pm{os.getpid()}{scenario.name}", scenario.lab(options.hosts), found.link, own, plan)
    if isinstance(data, str):
        result.skipped = data
        return result
    result.series = {(name, size): Series(times) for name, size, times in data["series"]}
    result.broken = [FaultSeen(**fault) for fault in data["broken"]]
    result.changed = [ChangeSeen(**seen) for seen in data["changed"]]
    result.predicted = dict(data["predicted"])
    result.lab = data["lab"]
    for key in PLAIN:
        setattr(result, key, data[key])
    return result


def main(argv: list[str]) -> int:
    options = parse(argv)
    labs.end_on_signals()
    options.build = options.build.resolve()
    if options.inside:
        return inside(options)
    found = programs.find(options.build)
    machine = programs.machine()
    log = log_file(options, "path_matrix")
    results: list[ScenarioResult] = []
    all_figures: list[Figure] = []
    for scenario in (s for s in SCENARIOS if s.name in options.scenarios):
        result = in_lab(scenario, options, argv, found, log)
        results.append(result)
        all_figures += figures(result)
        print(output.table(result), flush=True)
    missed = conclude(options, machine, all_figures, [output.as_json(result) for result in results])
    return 1 if missed or any(result.wrong or result.failed for result in results) else 0
