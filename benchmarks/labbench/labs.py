"""A lab around a benchmark: the program raises one and has itself run in it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from labbench.programs import LAB


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def end_on_signals() -> None:
    """Ctrl-C and its like end the program by an exception: what it has begun it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)


def _on_signal(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


UNSUPPORTED = 77  # exit code of `lab` where the machine cannot have one


def supported() -> bool:
    """Can this machine have a lab? If not, `lab` says on stderr what is in the way."""
    command = [str(LAB), "--lab", f"probe{os.getpid()}", "run", "--", "true"]
    return subprocess.run(command, check=False).returncode != UNSUPPORTED


def run_inside(name: str, lab: tuple[str, ...], link: Path, own: list[str], plan: dict[str, Any]) -> dict[str, Any] | str:
    """Runs `own`, which is to measure in a lab, by `lab run`; what it leaves as the plan's "result", or why it does not.

    `own` is given `--inside FILE`: the plan as JSON.
    """
    with tempfile.TemporaryDirectory(prefix=f"{name}.") as folder:
        file, seen = Path(folder) / "plan.json", Path(folder) / "result.json"
        file.write_text(json.dumps(plan | {"result": str(seen)}), encoding="utf-8")
        command = [str(LAB), "--lab", name, "run", *lab, "--", *own, "--inside", str(file)]
        complaints = _watch(command, {"LAB_LINK": str(link)})
        if not seen.exists():
            return complaints[-1].removeprefix("lab: ")
        return json.loads(seen.read_text(encoding="utf-8"))


def _watch(command: list[str], env: dict[str, str]) -> list[str]:
    """Runs a command; its lines on stderr are passed on, and returned."""
    process = subprocess.Popen(command, env=os.environ | env, stderr=subprocess.PIPE, text=True)
    lines = [f"cannot run {command[0]}"]
    try:
        for line in process.stderr or []:
            sys.stderr.write(line)
            lines.append(line.strip())
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return lines
