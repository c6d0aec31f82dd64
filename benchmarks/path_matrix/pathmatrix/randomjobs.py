"""Jobs drawn at random over labs drawn at random, with faults while they run: right, or an error on every rank."""

import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labbench import labs, programs
from labbench.figures import MIB
from labbench.labs import say
from labtool import machine
from labtool.lab import Lab

from pathmatrix import bounds, contenders
from pathmatrix.faults import KINDS, Line, Running

DESCRIPTION = """
Raises labs of 2 or 3 sites and 1 to 3 paths whose rates, delays and losses are
drawn at random, runs all-reduces of random sizes, types and operators over
them, checks every element, and breaks paths meanwhile; one job in ten loses a
process, and has to end with an error on every other rank. A job is drawn from
its seed, which is printed; --seed SEED --cases 1 runs it again (the faults then
meet it at about the same instants).

exit code: 0; 1 if a job went wrong; 77 if this machine cannot have a lab.
"""

TYPES = ("int8", "uint8", "int32", "uint32", "int64", "uint64", "half", "float", "double", "bfloat16")
OPERATORS = ("sum", "prod", "max", "min", "avg")
ALGORITHMS = ("auto", "sharded", "hierarchical", "ring")
TIMEOUT = 20  # LONGHAUL_TIMEOUT, seconds: longer than any silence here
JOB_LIMIT = 240.0  # seconds


@dataclass(frozen=True)
class Fault:
    at: float  # seconds from the first operation
    path: int
    kind: int  # in KINDS; -1: a process of `host` is killed
    lasts: float = 0.0
    host: int = 0  # its number among all


@dataclass
class Case:
    seed: int
    hosts: list[int] = field(default_factory=list)  # of each site
    rates: list[float] = field(default_factory=list)  # of each path, bits/s
    delays: list[float] = field(default_factory=list)  # one way, seconds
    losses: list[float] = field(default_factory=list)  # shares
    sizes: list[int] = field(default_factory=list)
    type: str = ""
    op: str = ""
    algorithm: str = ""
    flows: int = 1
    faults: list[Fault] = field(default_factory=list)

    @property
    def kills(self) -> bool:
        return any(fault.kind < 0 for fault in self.faults)

    def lab(self) -> tuple[str, ...]:
        words = ["--hosts", ",".join(str(count) for count in self.hosts), "--cc", "bbr", "--seed", str(self.seed % 1000 + 1)]
        for rate, delay, loss in zip(self.rates, self.delays, self.losses):
            words += ["--path", f"rate={rate:.0f}bit,delay={delay * 1e3:.3f}ms,loss={loss * 100:.4f}%"]
        return tuple(words)

    def text(self) -> str:
        paths = "; ".join(
            f"{rate / 1e6:.0f} Mbit/s {delay * 1e3:.1f} ms {loss:.3%}"
            for rate, delay, loss in zip(self.rates, self.delays, self.losses)
        )
        faults = ", ".join(
            f"{fault.at:.2f} s {'kill' if fault.kind < 0 else KINDS[fault.kind].name + f' p{fault.path}'}" for fault in self.faults
        )
        sizes = ", ".join(f"{size} B" for size in self.sizes)
        return f"hosts {self.hosts}, {paths}; {self.algorithm}, {self.flows} flows, {self.type} {self.op} {sizes}; {faults or 'no fault'}"


def draw(seed: int) -> Case:
    dice = random.Random(seed)

    def between(least: float, most: float) -> float:  # evenly over the orders of magnitude
        return least * (most / least) ** dice.random()

    case = Case(seed)
    case.hosts = [dice.randint(1, 2) for _ in range(dice.choice((2, 2, 3)))]
    for _ in range(dice.randint(1, 3)):
        case.rates.append(between(20e6, 500e6))
        case.delays.append(between(0.5e-3, 60e-3))
        case.losses.append(between(1e-5, 3e-3) if dice.random() < 0.4 else 0.0)
    case.sizes = [dice.choice((0, 1, 8, 12_345, 100_003, MIB)), int(between(64, 8 * MIB)), int(between(MIB, 8 * MIB))]
    case.type, case.op = dice.choice(TYPES), dice.choice(OPERATORS)
    case.algorithm, case.flows = dice.choice(ALGORITHMS), dice.choice((1, 1, 2, 4))
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        kind = dice.randrange(len(KINDS))
        case.faults.append(Fault(dice.uniform(0, 4), dice.randrange(len(case.rates)), kind, between(0.05, 2)))
    if dice.random() < 0.1:
        case.faults.append(Fault(dice.uniform(0, 3), 0, -1, host=dice.randrange(sum(case.hosts))))
    case.faults.sort(key=lambda fault: fault.at)
    return case


def _kill(lab: Lab, number: int) -> None:
    """The rank's process of a host."""
    host = lab.plan.hosts()[number]
    for pid in machine.run("ip", "netns", "pids", lab.plan.namespace(host.name)).split():
        try:
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").startswith("longhaul_perf"):
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass  # it has ended by itself


def _apply(lab: Lab, case: Case, begin: float) -> None:
    """All faults, each for its time."""
    due = []
    for number, fault in enumerate(case.faults):
        due.append((fault.at, number, True))
        due.append((fault.at + fault.lasts, number, False))
    for at, number, begins in sorted(due):
        time.sleep(max(0.0, begin + at - time.monotonic()))
        fault = case.faults[number]
        if fault.kind < 0:
            if begins:
                _kill(lab, fault.host)
            continue
        rate, delay = case.rates[fault.path], case.delays[fault.path]
        line, kind = Line(lab, fault.path, bounds.Path(rate, delay)), KINDS[fault.kind]
        (kind.begin if begins else kind.end)(line)


def _command(case: Case, found: programs.Tools) -> list[str]:
    env = contenders.path_env(list(range(len(case.rates))))
    env |= {"LONGHAUL_WAN_FLOWS": str(case.flows), "LONGHAUL_TIMEOUT": f"{TIMEOUT}s"}
    sizes = ",".join(str(size) for size in case.sizes)
    return contenders.spread(
        env, found, "--each", "--sizes", sizes, "-d", case.type, "-o", case.op, "--algo", case.algorithm, "-n", "4", "-w", "0"
    )


def play(case: Case, found: programs.Tools, log: Path) -> str:
    """What is wrong; empty: nothing."""
    lab = Lab(os.environ["LONGHAUL_LAB"])
    with Running(_command(case, found), log) as job:
        started = job.next_start(60)
        if started is None:
            return "it does not begin"
        _apply(lab, case, started[1])
        code = job.code(JOB_LIMIT)
    if code is None:
        return "no end in sight"
    if job.wrong:
        return f"{job.wrong} wrong elements"
    if case.kills:
        return _judge_killed(case, code, log)
    return "" if code == 0 else f"exit code {code}"


def _judge_killed(case: Case, code: int, log: Path) -> str:
    """Every other rank has to say that it cannot go on."""
    if code == 0:
        return ""  # it had ended before
    text = log.read_text(encoding="utf-8")
    victims = {fault.host for fault in case.faults if fault.kind < 0}
    for rank in set(range(sum(case.hosts))) - victims:
        if not re.search(rf"rank {rank}: k(Unreachable|Aborted)", text):
            return f"rank {rank} gives no error"
    return ""


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="random", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first; the others follow. 0: another one each time (0)")
    parser.add_argument("--build", type=Path, default=programs.ROOT / "build" / "release", help="build folder (build/release)")
    parser.add_argument("--logs", type=Path, default=None, metavar="FOLDER", help="where what jobs printed is kept, of those that went wrong")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def inside(options: argparse.Namespace) -> int:
    plan = json.loads(options.inside.read_text(encoding="utf-8"))
    wrong = play(draw(plan["seed"]), programs.find(options.build), Path(plan["log"]))
    Path(plan["result"]).write_text(json.dumps({"wrong": wrong}), encoding="utf-8")
    return 0


def main(argv: list[str]) -> int:
    options = parse(argv)
    labs.end_on_signals()
    options.build = options.build.resolve()
    if options.inside:
        return inside(options)
    found = programs.find(options.build)
    if not labs.supported():
        return labs.UNSUPPORTED
    logs = (options.logs or Path(tempfile.mkdtemp(prefix="path_random."))).resolve()
    logs.mkdir(exist_ok=True)
    first = options.seed or random.randrange(1, 1 << 31)
    own = [sys.executable, str(Path(__file__).resolve().parents[1] / "random"), *argv]
    failed: list[int] = []
    for seed in range(first, first + options.cases):
        case, log = draw(seed), logs / f"{seed}.log"
        log.write_text(json.dumps(asdict(case)) + "\n", encoding="utf-8")
        begin = time.monotonic()
        seen = labs.run_inside(f"pr{os.getpid()}", case.lab(), found.link, own, {"seed": seed, "log": str(log)})
        wrong = seen if isinstance(seen, str) else seen["wrong"]
        say(f"seed {seed}: {case.text()}: {time.monotonic() - begin:.0f} s {wrong or 'right'}")
        if wrong:
            failed.append(seed)
        else:
            log.unlink()
    print(f"{options.cases} jobs, of seeds {first} to {first + options.cases - 1}: {len(failed)} went wrong")
    if failed:
        print(f"seeds {', '.join(str(seed) for seed in failed)}; what they printed: {logs}")
    return 1 if failed else 0
