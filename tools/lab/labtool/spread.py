"""One command in every host at once: the ranks of a job."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from labtool import processes
from labtool.errors import LabError
from labtool.lab import Lab
from labtool.plan import MANAGEMENT, Host

DEFAULT_PORT = 29500
TERM_SECONDS = 3.0  # between asking the ranks to end and killing them


@dataclass(frozen=True)
class Job:
    command: list[str]
    per_host: int = 1
    env: dict[str, str] = field(default_factory=dict)
    rendezvous: str = ""
    grace: float = 5.0  # seconds for the others after the first failure


@dataclass(frozen=True)
class Rank:
    number: int
    local: int
    world: int
    host: Host


def ranks(lab: Lab, per_host: int) -> list[Rank]:
    """Site by site, host by host."""
    hosts = lab.plan.hosts()
    world = per_host * len(hosts)
    return [Rank(i, i % per_host, world, hosts[i // per_host]) for i in range(world)]


def resolve_rendezvous(lab: Lab, text: str) -> str:
    """HOST:PORT, where HOST may be a lab's host: `s1h0` (its management address) or `s1h0.lan`."""
    where, colon, port = (text or "s0h0").rpartition(":")
    if not colon:
        where, port = port, str(DEFAULT_PORT)
    name, _, interface = where.partition(".")
    if name in {host.name for host in lab.plan.hosts()}:
        where = lab.plan.address(lab.plan.host(name), interface or MANAGEMENT)
    return f"{where}:{port}"


def expand(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def environment(lab: Lab, job: Job, rank: Rank) -> tuple[list[str], dict[str, str]]:
    """A rank's command and variables, placeholders filled in."""
    values = {
        "rank": str(rank.number),
        "site": f"s{rank.host.site}",
        "host": rank.host.name,
        "lan": lab.plan.address(rank.host, "lan"),
        "wan": ",".join(lab.wan_addresses(rank.host)),
    }
    env = dict(os.environ) | {
        "RANK": values["rank"],
        "WORLD_SIZE": str(rank.world),
        "LOCAL_RANK": str(rank.local),
        "LONGHAUL_SITE": values["site"],
        "LONGHAUL_RENDEZVOUS": resolve_rendezvous(lab, job.rendezvous),
    }
    env.pop("LONGHAUL_LAB", None)  # the lab's own, no option of longhaul
    env |= {key: expand(value, values) for key, value in job.env.items()}
    return [expand(word, values) for word in job.command], env


class _Prefixer:
    """Copies what a rank prints to stderr, line by line, behind `[rank] `."""

    _one_at_a_time = threading.Lock()

    def __init__(self, rank: Rank, source: IO[bytes]) -> None:
        self._tag = f"[{rank.number}] ".encode()
        self._source = source
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        for line in self._source:
            with self._one_at_a_time:
                sys.stderr.buffer.write(self._tag + line.rstrip(b"\n") + b"\n")
                sys.stderr.buffer.flush()

    def join(self) -> None:
        self._thread.join()


class _Crew:
    """The ranks' processes."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._prefixers: list[_Prefixer] = []
        self._running = 0

    def start(self, lab: Lab, job: Job, rank: Rank) -> None:
        command, env = environment(lab, job, rank)
        output = None if rank.number == 0 else subprocess.PIPE
        process = subprocess.Popen(
            lab.command(rank.host.name, command, bound=True),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )
        self._selector.register(os.pidfd_open(process.pid), selectors.EVENT_READ, process)
        self._running += 1
        if process.stdout:
            self._prefixers.append(_Prefixer(rank, process.stdout))

    def wait(self, grace: float) -> int:
        """Until all have ended, or the grace after a failure is over: the first failure's code."""
        first = 0
        deadline: float | None = None
        while self._running:
            timeout = None if deadline is None else deadline - time.monotonic()
            if timeout is not None and timeout <= 0:
                break
            for key, _ in self._selector.select(timeout):
                code = self._reap(key)
                if code and not first:
                    first, deadline = code, time.monotonic() + grace
        return first

    def _reap(self, key: selectors.SelectorKey) -> int:
        self._selector.unregister(key.fileobj)
        os.close(key.fd)
        self._running -= 1
        code = key.data.wait()
        return 128 - code if code < 0 else code

    def end(self) -> None:
        """Returns when no process of any rank is left, and all is printed."""
        processes.end_descendants(TERM_SECONDS)
        for prefixer in self._prefixers:
            prefixer.join()


def spread(lab: Lab, job: Job) -> int:
    """Runs the job; the exit code of the first rank that failed, or 0."""
    if job.per_host < 1:
        raise LabError("--per-host: at least 1")
    processes.adopt_orphans()
    crew = _Crew()
    try:
        for rank in ranks(lab, job.per_host):
            crew.start(lab, job, rank)
        return crew.wait(job.grace)
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        crew.end()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
