"""The command line: trains every variant with every seed, each in a lab of its own."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from twosites import curves, plot

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "tools" / "lab" / "lab"

DESCRIPTION = """
Trains the small language model of train_two_sites over an emulated long-haul
line, two sites of two hosts each, with every codec and every seed. Prints what
each codec comes to: the loss on text held out (mean of the last validations and
of the seeds), its difference to that without a codec, the time, and what crossed
between the sites.
"""

EPILOG = """
A variant is a value of LONGHAUL_COMPRESS; NAME+feedback sets
LONGHAUL_ERROR_FEEDBACK=1 too. Labs need root, or a user namespace.
exit code: 0; 1 if a training failed; 77 if this machine cannot have a lab.

example
  examples/train_two_sites/run --csv curves.csv --plot curves.svg
"""

UNSUPPORTED = 77  # exit code of `lab` where the machine cannot have one


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--variants", default="none,bf16,int8,int4,int4+feedback", metavar="NAME,...", help="which (none,bf16,int8,int4,int4+feedback)"
    )
    parser.add_argument("--seeds", default="1,2,3", metavar="N,...", help="of weights and batches (1,2,3)")
    parser.add_argument("--rate", default="100mbit", help="of the line (100mbit)")
    parser.add_argument("--delay", default="25ms", help="of the line, one way (25ms)")
    parser.add_argument("--train", default="", metavar="'OPTION...'", help="for train_two_sites: '--steps 200 --rate 0.001'")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help="build folder (build/release)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="all curves; written after every training")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="the seeds' mean curves, as SVG")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="train nothing: table and plot of what --csv wrote")
    options = parser.parse_args(argv)
    options.variants = options.variants.split(",")
    try:
        options.seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        parser.error(f"--seeds {options.seeds}: numbers, with commas between")
    return options


def programs(build: Path) -> tuple[Path, Path]:
    train, link = build / "examples" / "train_two_sites" / "train_two_sites", build / "tools" / "lab" / "lab_link"
    for program in (train, link):
        if not program.exists():
            raise SystemExit(f"{program} is missing: cmake --preset release && cmake --build --preset release")
    return train, link


def on_signal(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def command_of(options: argparse.Namespace, train: Path, variant: str, seed: int, table: Path) -> list[str]:
    codec = variant.removesuffix(plot.FEEDBACK)
    feedback = ["--env", "LONGHAUL_ERROR_FEEDBACK=1"] if variant != codec else []
    return [
        str(LAB), "--lab", f"train{os.getpid()}", "run", "--sites", "2", "--hosts", "2", "--path", f"rate={options.rate},delay={options.delay}",
        "--", str(LAB), "spread", "--env", "LONGHAUL_INTERFACES=lan", "--env", f"LONGHAUL_COMPRESS={codec}", *feedback,
        "--", str(train), *options.train.split(), "--seed", str(seed), "--csv", str(table),
    ]


def run_to_end(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Exit code, and what was said on stderr; whatever interrupts this ends the command too."""
    process = subprocess.Popen(command, env=os.environ | env, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return process.returncode, said


def train_all(options: argparse.Namespace) -> list[curves.Run]:
    train, link = programs(options.build.resolve())
    runs: list[curves.Run] = []
    jobs = [(seed, variant) for seed in options.seeds for variant in options.variants]
    with tempfile.TemporaryDirectory(prefix="train_two_sites.") as folder:
        table = Path(folder) / "curve.csv"
        for number, (seed, variant) in enumerate(jobs, 1):
            begin = time.monotonic()
            code, said = run_to_end(command_of(options, train, variant, seed, table), {"LAB_LINK": str(link)})
            if code:
                say(said.rstrip())
                raise SystemExit(code if code == UNSUPPORTED else 1)
            run = curves.Run(variant, seed, curves.read_points(table))
            runs.append(run)
            say(f"[{number}/{len(jobs)}] {variant}, seed {seed}: {time.monotonic() - begin:.0f} s, loss {run.final_loss:.4f}")
            if options.csv:
                curves.write(options.csv, runs)
    return runs


def main(argv: list[str]) -> int:
    options = parse(argv)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    runs = curves.read(options.source) if options.source else train_all(options)
    found = curves.summaries(runs)
    print(curves.table(found))
    if options.plot:
        options.plot.write_text(plot.draw(found), encoding="utf-8")
    return 0
