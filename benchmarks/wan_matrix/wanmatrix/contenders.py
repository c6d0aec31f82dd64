"""Who takes part, and by which command."""

from labbench.jobs import FRESH, Job
from labbench.programs import LAB, ROOT, Tools

from wanmatrix.scenarios import Scenario

AGENT = ROOT / "benchmarks" / "wan_matrix" / "lab_agent"
GLOO_ALGORITHMS = ("ring", "bcube", "halving_doubling")
MPI_LINKS = ("1", "4")


def variants(contender: str, tools: Tools) -> list[str]:
    """What a contender is tried as; the best counts."""
    if contender == "gloo":
        return [f"gloo {name}" for name in GLOO_ALGORITHMS] if tools.gloo else []
    if contender == "mpi":
        return [f"mpi links={links}" for links in MPI_LINKS] if tools.mpi else []
    return [contender]


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
