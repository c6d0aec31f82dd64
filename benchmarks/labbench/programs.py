"""Where the programs are, and what this machine is."""

import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tools" / "lab" / "lab"


@dataclass(frozen=True)
class Tools:
    """Programs of one build folder. `gloo` and `mpi` are None where they are not installed."""

    build: Path
    perf: Path
    floor: Path
    link: Path
    command: Path
    gloo: Path | None
    mpi: Path | None


def find(build: Path) -> Tools:
    benches = build / "benchmarks"
    gloo = benches / "peers" / "gloo_perf"
    mpi = benches / "peers" / "mpi_perf"
    tools = Tools(
        build,
        benches / "longhaul_perf" / "longhaul_perf",
        benches / "floor" / "longhaul_floor",
        build / "tools" / "lab" / "lab_link",
        build / "tools" / "longhaul" / "longhaul",
        gloo if gloo.exists() else None,
        mpi if mpi.exists() and shutil.which("mpirun") else None,
    )
    for program in (tools.perf, tools.floor, tools.link):
        if not program.exists():
            raise SystemExit(f"{program} is missing: cmake --preset release && cmake --build --preset release")
    return tools


def run_gently(command: list[str], env: dict[str, str], output: IO[str], seconds: float) -> int:
    """Runs a command to its end; whatever interrupts that, asks it to end and waits for it."""
    process = subprocess.Popen(command, env=os.environ | env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        return process.wait(seconds)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def machine() -> dict[str, object]:
    """What a reader needs to compare figures with their own."""
    model = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    memory = [line.split()[1] for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal")]
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": int(memory[0]) * 1024 if memory else 0,
        "kernel": platform.release(),
        "congestion_control": _read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "congestion_control_available": _read("/proc/sys/net/ipv4/tcp_available_congestion_control"),
        "congestion_control_allowed": _read("/proc/sys/net/ipv4/tcp_allowed_congestion_control"),
        "load": os.getloadavg()[0],
        "commit": commit.stdout.strip(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
