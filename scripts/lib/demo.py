"""The demonstration's measurements and its table; started by scripts/demo when everything is built."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tools" / "lab" / "lab"
BUILD = ROOT / "build" / "release"
PERF = BUILD / "benchmarks" / "longhaul_perf" / "longhaul_perf"
LINE = "rate=500mbit,delay=25ms"
BOUND = "500mbit,25ms"
LINES = {"no loss": LINE, "0.1 % loss": f"{LINE},loss=0.1%"}
ALGORITHMS = {"hierarchical": "2", "ring": "1"}  # and timed iterations, each both out of place and in place
SIZES = "1K,16K,256K,1M,4M,16M,64M"
UNABLE = 77  # `lab`: this machine cannot do it

HOW_TO_ENABLE = """
The demonstration needs network namespaces: run it as root, or allow user
namespaces, as root:
  sysctl -w kernel.unprivileged_userns_clone=1        (older Debian kernels)
  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0          (Ubuntu)
and the TUN device: modprobe tun; in a container: --device /dev/net/tun and
--cap-add NET_ADMIN --cap-add SYS_ADMIN.
""".strip()


def measure(folder: Path) -> int:
    """In the lab: one report per algorithm."""
    for algorithm, iterations in ALGORITHMS.items():
        print(f"  {algorithm} ...", flush=True)
        command = [
            LAB, "spread", "--env", "LONGHAUL_INTERFACES=lan", "--", PERF, "--algo", algorithm, "--sizes", SIZES,
            "-n", iterations, "-w", "1", "--bound", BOUND, "--json", folder / f"{algorithm}.json",
        ]
        with (folder / f"{algorithm}.log").open("w") as log:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        if code:
            sys.stderr.write((folder / f"{algorithm}.log").read_text())
            return code
    return 0


def run_in_lab(settings: str, folder: Path) -> int:
    """Raises the lab, measures there, takes it down; Ctrl-C and SIGTERM too."""
    command = [
        LAB, "--lab", f"demo{os.getpid()}", "run", "--sites", "2", "--hosts", "2", "--path", settings,
        "--", sys.executable, Path(__file__).resolve(), "--inside", folder,
    ]
    process = subprocess.Popen(command, env=os.environ | {"LAB_LINK": str(BUILD / "tools" / "lab" / "lab_link")})
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def microseconds(line: dict) -> float:
    """The median over both columns' iterations."""
    times = sorted(line["out_of_place"]["times_us"] + line["in_place"]["times_us"])
    middle = len(times) // 2
    return times[middle] if len(times) % 2 else (times[middle - 1] + times[middle]) / 2


def size_text(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def rows(name: str, folder: Path) -> list[list[str]]:
    """The table's part for one line."""
    reports = {a: json.loads((folder / f"{a}.json").read_text())["results"] for a in ALGORITHMS}
    found = []
    for ours, ring in zip(reports["hierarchical"], reports["ring"], strict=True):
        time = microseconds(ours)
        bandwidth = ours["size"] / 1e9 / (time / 1e6)
        wrong = sum(line[half]["nwrong"] for line in (ours, ring) for half in ("out_of_place", "in_place"))
        found.append([
            name, size_text(ours["size"]), f"{time / 1e3:.1f} ms", f"{bandwidth:.3f}", f"{bandwidth * 1.5:.3f}",
            str(wrong), f"{time / ours['lower_bound_us']:.2f}", f"{microseconds(ring) / time:.2f}x",
        ])
    return found


def print_table(lines: list[list[str]]) -> None:
    head = ["line", "size", "time", "algbw GB/s", "busbw GB/s", "#wrong", "time / T_LB", "vs flat ring"]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    print()
    for line in [head, *lines]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    print(
        "\nAll-reduce of float32 sums, 4 ranks in 2 sites, 500 Mbit/s and 50 ms round trip between them; medians. T_LB is\n"
        "the one-way delay plus the bytes at line rate. #wrong counts elements, every one of every rank is checked."
    )


def _on_signal(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Builds, measures in a lab, prints a table.")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    if options.inside:
        return measure(options.inside)
    lines: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="longhaul-demo.") as folder:
        for name, settings in LINES.items():
            print(f"Measuring over a line with {name}", flush=True)
            code = run_in_lab(settings, Path(folder))
            if code == UNABLE:
                print(HOW_TO_ENABLE, file=sys.stderr)
            if code:
                return code
            lines += rows(name, Path(folder))
    print_table(lines)
    return 0 if all(line[5] == "0" for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
