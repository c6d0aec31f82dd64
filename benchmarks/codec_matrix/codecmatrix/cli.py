"""The command line of the matrix of codecs."""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from labbench import jobs, labs, programs
from labbench.ending import conclude, log_file
from labbench.figures import MIB, PAYLOAD_SHARE, Figure, Series, row, size_text, time_text
from labbench.labs import say
from labbench.programs import LAB

DESCRIPTION = """
Runs longhaul's all-reduce with each codec over an emulated long-haul line of
100 Mbit/s and 50 ms round-trip time, and over one without a rate limit, two
sites of two hosts each. Prints what crossed between the sites, the times, and
their multiple of what the line, or the processors, allow at the least:

    max(one-way delay + bytes / (c x h x rate), the same codec's time without a
    rate limit)

c being the codec's bytes of the vector per byte sent, h what headers leave.
Every element is checked: within what the codec loses, and equal on all ranks.
"""

EPILOG = """
Labs need root, or a user namespace.
exit code: 0; 1 if a result was wrong, or with --strict a figure was missed.
"""

CODECS = ("none", "bf16", "int8", "int8:rotate", "e4m3", "int4", "int4:rotate")
EIGHT, FOUR = 64 * 4 / 66, 32 * 4 / 18
RATIOS = {  # c, of codes alone
    "bf16": 2.0, "int8": EIGHT, "int8:rotate": EIGHT, "e4m3": EIGHT, "int4": FOUR, "int4:rotate": FOUR,
}
ASKED = {  # of what is sent, headers and all
    "bf16": 1.99, "int8": 3.85, "int8:rotate": 3.85, "e4m3": 3.85, "int4": 7.0, "int4:rotate": 7.0,
}
RATE, DELAY = 100e6, 0.025  # bits/s, seconds one way
LIMIT = 1.15  # times what is possible
HOSTS = 2  # of each site


@dataclass
class Seen:
    """Of one codec and size."""

    limited: Series = field(default_factory=Series)  # over the line
    free: Series = field(default_factory=Series)  # without a rate limit
    sent: float = 0.0  # bytes of IP packets between sites, per rank and operation


def lab(rate: str) -> tuple[str, ...]:
    return ("--sites", "2", "--hosts", str(HOSTS), "--path", f"rate={rate},delay={DELAY * 1e3:g}ms", "--cc", "bbr")


LABS = {"limited": lab(f"{RATE:.0f}bit"), "free": lab("none")}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codecs", default=",".join(CODECS), metavar="NAME,...", help=f"which ({','.join(CODECS)})")
    parser.add_argument("--size", type=int, default=64, metavar="MIB", help="of the vector (64)")
    parser.add_argument("--build", type=Path, default=programs.ROOT / "build" / "release", help="build folder (build/release)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every codec (3)")
    parser.add_argument("--iterations", type=int, default=1, help="timed iterations per turn, each both out of place and in place (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was seen")
    parser.add_argument("--log", type=Path, default=None, metavar="FILE", help="what the programs printed")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a figure was missed")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)  # the plan of the lab this is
    options = parser.parse_args(argv)
    options.codecs = options.codecs.split(",")
    unknown = set(options.codecs) - set(CODECS)
    if unknown:
        parser.error(f"--codecs {','.join(sorted(unknown))}: there are {', '.join(CODECS)}")
    return options


def inside(options: argparse.Namespace) -> int:
    """In a lab: measures, and leaves what it saw where the plan says."""
    plan = json.loads(options.inside.read_text(encoding="utf-8"))
    found, log = programs.find(options.build), Path(plan["log"])
    times: dict[str, list[float]] = {}
    sent: dict[str, float] = {}
    wrong = 0
    for turn in range(1, options.rounds + 1):
        for codec in options.codecs:
            begin = time.monotonic()
            command = [str(LAB), "spread", "--env", "LONGHAUL_INTERFACES=lan", "--", str(found.perf), "--wan", "--compress", codec]
            outcome = jobs.run(jobs.Job(codec, command, (options.size * MIB,)), jobs.Effort(options.iterations, 2, 120), log)
            for seen in outcome.times.values():
                times.setdefault(codec, []).extend(seen)
            for report in outcome.reports:
                sent[codec] = report["results"][0]["wan"]["sent_bytes"] / (2 * HOSTS)
            wrong += outcome.wrong
            say(f"[{plan['lab']}] round {turn}/{options.rounds} {codec}: {time.monotonic() - begin:.0f} s {outcome.fault}")
    Path(plan["result"]).write_text(json.dumps({"times": times, "sent": sent, "wrong": wrong}), encoding="utf-8")
    return 0


def possible(size: int, codec: str, seen: Seen) -> float:
    """Seconds at the least, by the codec's own number of bytes."""
    line = DELAY + size * 8 / (RATIOS.get(codec, 1.0) * PAYLOAD_SHARE * RATE)
    return max(line, seen.free.median)


def table(size: int, found: dict[str, Seen]) -> str:
    lines = [
        f"### {size_text(size)} of f32, 2 x {HOSTS} ranks, {RATE / 1e6:g} Mbit/s, {2 * DELAY * 1e3:g} ms",
        "",
        row(["codec", "sent per rank", "of none", "time", "without a limit", "possible"]),
        row(["---"] + ["---:"] * 5),
    ]
    for codec, seen in found.items():
        least = possible(size, codec, seen)
        plain = found["none"].sent if "none" in found else 0
        cells = [
            codec, f"{seen.sent / 1e6:.2f} MB", f"1/{plain / seen.sent:.2f}" if plain and seen.sent else "-",
            seen.limited.text(least), time_text(seen.free.median), time_text(least),
        ]
        lines.append(row(cells))
    return "\n".join([*lines, ""])


def figures(size: int, found: dict[str, Seen], wrong: int) -> list[Figure]:
    all_figures: list[Figure] = []
    for codec, seen in found.items():
        ratio = seen.limited.median / possible(size, codec, seen)
        all_figures.append(Figure(codec, f"{size_text(size)}: time / what is possible", ratio, LIMIT))
        if codec in ASKED and "none" in found and seen.sent:
            fewer = found["none"].sent / seen.sent
            all_figures.append(Figure(codec, "bytes between sites: times fewer than f32", fewer, ASKED[codec], at_least=True))
    all_figures.append(Figure("all", "wrong elements", float(wrong), 0))
    return all_figures


def main(argv: list[str]) -> int:
    options = parse(argv)
    labs.end_on_signals()
    options.build = options.build.resolve()
    if options.inside:
        return inside(options)
    tools, machine = programs.find(options.build), programs.machine()
    log = log_file(options, "codec_matrix")
    found: dict[str, Seen] = {}
    wrong = 0
    own = [sys.executable, str(Path(__file__).resolve().parents[1] / "run"), *argv]
    for name, settings in LABS.items():
        data = labs.run_inside(f"cm{os.getpid()}{name}", settings, tools.link, own, {"lab": name, "log": str(log)})
        if isinstance(data, str):
            raise SystemExit(f"not measured: {data}")
        wrong += data["wrong"]
        for codec, times in data["times"].items():
            getattr(found.setdefault(codec, Seen()), name).times += times
            if name == "limited":
                found[codec].sent = data["sent"].get(codec, 0.0)
    found = {codec: seen for codec, seen in found.items() if seen.limited.times and seen.free.times}
    size = options.size * MIB
    print(table(size, found), flush=True)
    scenarios = [
        {"codec": codec, "sent_bytes": seen.sent, "limited": seen.limited.as_json(), "free": seen.free.as_json()} for codec, seen in found.items()
    ]
    missed = conclude(options, machine, figures(size, found, wrong), scenarios)
    return 1 if missed or wrong else 0
