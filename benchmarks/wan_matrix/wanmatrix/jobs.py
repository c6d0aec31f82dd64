"""One contender, once, over a list of sizes: the times it took."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wanmatrix.scenarios import BARRIER, MIB, Scenario, size_text
from wanmatrix.tools import AGENT, LAB, Tools, run_gently

GLOO_ALGORITHMS = ("ring", "bcube", "halving_doubling")
MPI_LINKS = ("1", "4")


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
    env: dict[str, str]


@dataclass
class Outcome:
    """Seconds per operation, by size; out of place and in place alike. `fault`: why there is no more."""

    times: dict[int, list[float]]
    fault: str = ""
    wrong: int = 0


def variants(contender: str, tools: Tools) -> list[str]:
    """What a contender is tried as; the best counts."""
    if contender == "gloo":
        return [f"gloo {name}" for name in GLOO_ALGORITHMS] if tools.gloo else []
    if contender == "mpi":
        return [f"mpi links={links}" for links in MPI_LINKS] if tools.mpi else []
    return [contender]


FRESH = "{fresh}"  # in a command: an empty folder of that run's own


def make(name: str, scenario: Scenario, tools: Tools) -> Job:
    """`name`: one of `variants`."""
    contender, _, variant = name.partition(" ")
    sizes = scenario.sizes
    if contender in scenario.crawlers:
        sizes = tuple(size for size in sizes if size <= scenario.crawler_limit)
    spread = [str(LAB), "spread"] if scenario.lab else []
    env: dict[str, str] = {}
    if contender == "floor":
        command = [*spread, "--", str(tools.floor), "--address", "{lan}", "--cc", scenario.floor_cc, "--rest", "100ms"]
    elif contender == "gloo":
        where = ["--address", "{lan}"] if scenario.lab else ["--ranks", "2"]
        command = [*spread, *(["--"] if spread else []), str(tools.gloo), "--store", FRESH, "--gloo-algo", variant, *where]
    elif contender == "mpi":
        command, env = _mpi(scenario, tools, variant.partition("=")[2])
    else:
        flags = ["--algo", contender] if contender != "auto" else []
        if spread:
            command = [*spread, "--env", "LONGHAUL_INTERFACES=lan", "--", str(tools.perf), *flags]
        else:
            command = [str(tools.perf), "--ranks", "2", *flags]
    return Job(name, command, sizes, env)


def _mpi(scenario: Scenario, tools: Tools, links: str) -> tuple[list[str], dict[str, str]]:
    settings = {
        "btl": "tcp,self",
        "btl_tcp_links": links,
        "btl_tcp_if_include": "lan" if scenario.lab else "lo",
        "mpi_yield_when_idle": "1",  # there are more ranks than cores
    }
    hosts: list[str] = []
    inside: list[str] = []
    env = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if scenario.lab:
        settings |= {"plm_rsh_agent": str(AGENT), "oob_tcp_if_include": "mgmt", "plm_rsh_no_tree_spawn": "1"}
        hosts = ["--host", "s0h0,s0h1,s1h0,s1h1"]
        inside = [str(LAB), "exec", "s0h0", "--"]
        env["LAB"] = str(LAB)
    flags = [word for key, value in settings.items() for word in ("--mca", key, value)]
    command = [*inside, "mpirun", "--oversubscribe", "-n", str(scenario.ranks), *hosts, *flags, str(tools.mpi)]
    return command, env


def run(job: Job, effort: Effort, log: Path) -> Outcome:
    """The barrier, the small sizes, and each of the large ones in fresh processes: a slow one spoils its own only."""
    outcome = Outcome({})
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
    for line in json.loads(report.read_text(encoding="utf-8"))["results"]:
        times = outcome.times.setdefault(line["size"], [])
        for half in ("out_of_place", "in_place"):
            times += [time / 1e6 for time in line[half]["times_us"]]
            outcome.wrong += line[half]["nwrong"] or 0
