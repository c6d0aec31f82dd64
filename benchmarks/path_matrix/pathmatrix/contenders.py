"""Who takes part, and by which command; and what `longhaul plan` says beforehand."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from labbench.jobs import Job
from labbench.programs import LAB, Tools

from pathmatrix.scenarios import BOTH, PREDICTED, Scenario, alone


@dataclass(frozen=True)
class Files:
    """Topology files of one scenario."""

    rates: Path
    equal: Path

    @staticmethod
    def write(scenario: Scenario, folder: Path) -> "Files":
        files = Files(folder / "rates.toml", folder / "equal.toml")
        files.rates.write_text(scenario.topology(True), encoding="utf-8")
        files.equal.write_text(scenario.topology(False), encoding="utf-8")
        return files


def path_env(paths: list[int]) -> dict[str, str]:
    names = ",".join(f"p{path}" for path in paths)
    return {"LONGHAUL_INTERFACES": f"lan,{names}", "LONGHAUL_PATHS": names}


def spread(env: dict[str, str], tools: Tools, *flags: str) -> list[str]:
    words = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
    return [str(LAB), "spread", *words, "--", str(tools.perf), *flags]


def make(name: str, scenario: Scenario, files: Files, tools: Tools) -> Job:
    if scenario.paths:
        count = range(len(scenario.paths))
        used = next(([path] for path in count if name == alone(path)), list(count))
        env, flags = path_env(used), []
    else:
        topology = files.equal if "equal" in name else files.rates
        env = {"LONGHAUL_INTERFACES": "lan", "LONGHAUL_TOPOLOGY": str(topology)}
        algorithm = name.partition(",")[0]
        flags = ["--algo", algorithm] if algorithm != "auto" else []
    return Job(name, spread(env, tools, *flags, "--wan"), scenario.sizes)


def subject(scenario: Scenario) -> str:
    """The contender that figures are about."""
    return BOTH if scenario.paths else "auto"


def predicted(scenario: Scenario, files: Files, hosts: int, tools: Tools) -> dict[int, float]:
    """Seconds that `longhaul plan` expects of what it would choose; nothing where it cannot be asked."""
    counts = [word for site in range(scenario.sites) for word in ("--hosts", f"s{site}={hosts}")]
    command = [str(tools.command), "plan", str(files.rates), *(str(size) for size in PREDICTED), *counts, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return {}
    if done.returncode != 0:
        return {}
    found = {}
    for size in json.loads(done.stdout)["sizes"]:
        for schedule in size["schedules"]:
            if schedule["name"] == size["chosen"]:
                found[size["bytes"]] = schedule["estimated_seconds"]
    return found
