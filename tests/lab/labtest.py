"""What the lab's own tests share: raising a lab around a test, and talking to it."""

import json
import os
import re
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools/lab"))

from labtool.lab import Lab  # noqa: E402  (found by the line above)

LAB = [sys.executable, str(HERE.parents[1] / "tools/lab/lab")]
TRAFFIC = [sys.executable, str(HERE / "traffic.py")]
UNSUPPORTED = 77  # exit code of `lab` where the machine cannot do it; ctest: skipped


def main_in_lab(*options: str) -> None:
    """Runs the calling script's tests inside a lab of its own, by `lab run`."""
    if os.environ.get("LAB_TEST_RAISED"):
        unittest.main(module="__main__", verbosity=2)
    script = Path(sys.argv[0]).resolve()
    os.environ["LAB_TEST_RAISED"] = "1"
    command = [*LAB, "--lab", name(script.stem), "run", *options, "--", sys.executable, str(script)]
    os.execv(command[0], command + sys.argv[1:])


def main_without_lab() -> None:
    """Runs tests that raise labs themselves; says so and stops where none can be raised."""
    probe = subprocess.run([*LAB, "--lab", name("probe"), "run", "--", "true"], check=False)
    if probe.returncode:
        sys.exit(probe.returncode)
    unittest.main(module="__main__", verbosity=2)


def name(stem: str) -> str:
    return f"t-{stem.removesuffix('_test')}-{os.getpid()}"


def lab(*words: str, check: bool = True, which: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `lab` to its end."""
    command = [*LAB, *(["--lab", which] if which else []), *words]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=100)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


# What follows does as `lab` does, in the lab around the test, but without starting it each time.
def current() -> Lab:
    return Lab(os.environ["LONGHAUL_LAB"])


def in_host(host: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    full = current().command(host, list(command))
    return subprocess.run(full, text=True, capture_output=True, check=check, timeout=100)


def start(host: str, *command: str) -> subprocess.Popen[str]:
    full = current().command(host, list(command))
    return subprocess.Popen(full, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def set_link(link: str, *settings: str) -> None:
    current().set(link, list(settings))


def reset_stats() -> None:
    current().stats(None, reset=True)


def stats(link: str) -> dict[str, Any]:
    """Of a path with one link, or an access link."""
    return next(iter(current().stats(link, reset=False).values()))


def ping(host: str, target: str, *options: str, count: int = 1) -> list[float]:
    """Round-trip times in ms; those that answered."""
    command = ["ping", "-n", "-i", "0.02", "-W", "5", "-c", str(count), *options, target]
    out = in_host(host, *command, check=False).stdout
    return [float(ms) for ms in re.findall(r"time=([\d.]+)", out)]


def transfer(source: str, source_address: str, sink: str, sink_address: str, megabytes: int, port: int = 7001) -> float:
    """Sends over TCP, checks every byte, and returns the goodput in Mbit/s."""
    return goodput(finish_transfer(begin_transfer(source, source_address, sink, sink_address, megabytes, port)))


Transfer = tuple[subprocess.Popen[str], subprocess.Popen[str], int]


def begin_transfer(
    source: str, source_address: str, sink: str, sink_address: str, megabytes: int, port: int = 7001
) -> Transfer:
    receiver = start(sink, *TRAFFIC, "tcp-sink", sink_address, str(port))
    assert receiver.stdout and receiver.stdout.readline() == "ready\n"
    sender = start(source, *TRAFFIC, "tcp-source", source_address, sink_address, str(port), str(megabytes))
    return sender, receiver, megabytes


@dataclass(frozen=True)
class Received:
    bytes: int
    began: float  # seconds of the machine's monotonic clock
    ended: float


def finish_transfer(running: Transfer) -> Received:
    sender, receiver, megabytes = running
    sent = json.loads(sender.communicate(timeout=100)[0])
    received = json.loads(receiver.communicate(timeout=100)[0])
    assert received["bytes"] == megabytes << 20, received
    assert received["sha256"] == sent["sha256"], "content differs"
    return Received(received["bytes"], received["began"], received["ended"])


def goodput(*received: Received) -> float:
    """Of all together, from the first's beginning to the last's end, in Mbit/s."""
    seconds = max(r.ended for r in received) - min(r.began for r in received)
    return sum(r.bytes for r in received) * 8 / seconds / 1e6


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Polls; for what another process will do. False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def namespaces() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], text=True, capture_output=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if line.strip()]


def processes_in(lab_name: str) -> list[str]:
    """Command lines of what runs in a lab's namespaces."""
    found = []
    for namespace in namespaces():
        if namespace.startswith(f"{lab_name}-"):
            pids = subprocess.run(["ip", "netns", "pids", namespace], text=True, capture_output=True, check=True)
            for pid in pids.stdout.split():
                try:
                    found.append(Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " "))
                except OSError:
                    pass
    return found
