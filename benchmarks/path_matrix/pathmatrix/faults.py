"""Faults of a path, placed by the clock within running operations."""

import math
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as File
from typing import Any

from labtool.lab import Lab

from pathmatrix import bounds
from pathmatrix.bounds import Outage, Path

BROKEN = 1  # the path that faults befall
CARRIES = 200_000  # bytes on it: data, no probe
BACK_LIMIT = 20.0  # seconds until one stops looking
OPERATION_LIMIT = 120.0  # seconds
LOSS = "5%"
LOSS_TIME = 1.0  # seconds
TENTH = 0.1

BEGAN = re.compile(r"# each (\d+) began ([\d.]+)")
ENDED = re.compile(r"# each (\d+) ended ([\d.]+) wrong (\d+)")


@dataclass(frozen=True)
class FaultSeen:
    kind: str
    into: float  # seconds from the operation's start to the fault
    placing: float  # how long it took to place: the instant is within
    took: float
    bound: float
    back: float | None  # seconds from the end of the fault to data on the path; None: it was never away

    @property
    def added(self) -> float:
        return self.took - self.bound

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"added": self.added}


def quantile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class Running:
    """A job that runs one operation after another, and its lines as they come."""

    def __init__(self, command: list[str], log: File) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._log.write(f"\n$ {' '.join(command)}\n")
        self._log.flush()
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self._news = threading.Condition()
        self._began: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self.wrong = 0
        self._over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(5)
        self._log.close()

    def _read(self) -> None:
        for line in self._process.stdout or []:
            began, ended = BEGAN.match(line), ENDED.match(line)
            with self._news:
                if began:
                    self._began[int(began[1])] = float(began[2])
                elif ended:
                    self._ended[int(ended[1])] = float(ended[2])
                    self.wrong += int(ended[3])
                self._news.notify_all()
            if not began and not ended:
                self._log.write(line)
        with self._news:
            self._over = True
            self._news.notify_all()

    def _await(self, there: Callable[[], bool], seconds: float) -> bool:
        with self._news:
            self._news.wait_for(lambda: there() or self._over, seconds)
            return there()

    def code(self, seconds: float) -> int | None:
        """What it ended with; None if it has not ended in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def next_start(self, seconds: float) -> tuple[int, float] | None:
        """The next operation to begin, and when it did; None if none does."""
        with self._news:
            known = len(self._began)
        if not self._await(lambda: len(self._began) > known, seconds):
            return None
        with self._news:
            number = max(self._began)
            return number, self._began[number]

    def duration_of(self, number: int, seconds: float) -> float | None:
        """Seconds an operation took; None if it does not end."""
        end = self.end_of(number, seconds)
        with self._news:
            return None if end is None else end - self._began[number]

    def end_of(self, number: int, seconds: float) -> float | None:
        if not self._await(lambda: number in self._ended, seconds):
            return None
        with self._news:
            return self._ended[number]


class Line:
    """A path that is broken, as the lab has it."""

    def __init__(self, lab: Lab, number: int, path: Path) -> None:
        self._lab = lab
        self._name = f"p{number}"
        self._path = path
        self._resetters: list[subprocess.Popen[str]] = []

    def down(self) -> None:
        self._lab.set(self._name, ["down"])

    def up(self) -> None:
        self._lab.set(self._name, ["up"])

    def reset(self) -> None:
        """RST to every connection of the first site's hosts on the path."""
        self.ready()
        for resetter in self._resetters:
            print(file=resetter.stdin, flush=True)
        for resetter in self._resetters:
            assert resetter.stdout and resetter.stdout.readline() == "done\n", "ss -K"

    def ready(self) -> None:
        """Has shells wait in the hosts for the next reset, which to start takes longer than that may."""
        if self._resetters:
            return
        for host in self._lab.plan.hosts_of(0):
            script = f"while read line; do ss -K src {self._lab.plan.address(host, self._name)} >/dev/null && echo done; done"
            self._resetters.append(
                subprocess.Popen(
                    self._lab.command(host.name, ["sh", "-c", script], bound=True),
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                )
            )

    def lose(self) -> None:
        self._lab.set(self._name, [f"loss={LOSS}"])

    def lose_nothing(self) -> None:
        self._lab.set(self._name, ["loss=0"])

    def slow(self) -> None:
        self._lab.set(self._name, [f"rate={self._path.rate * TENTH:.0f}bit"])

    def as_it_was(self) -> None:
        self._lab.set(self._name, [f"rate={self._path.rate:.0f}bit"])

    def _carried(self) -> int:
        """Bytes delivered so far, both ways."""
        stats = next(iter(self._lab.stats(self._name, reset=False).values()))
        return sum(stats[direction]["out_bytes"] for direction in ("ab", "ba"))

    def until_data(self) -> float:
        """Seconds from now until it carries data again; what is on the line by now does not count."""
        begin = time.monotonic()
        time.sleep(self._path.delay + 0.01)
        before = self._carried()
        while time.monotonic() - begin < BACK_LIMIT:
            if self._carried() - before >= CARRIES:
                return time.monotonic() - begin
            time.sleep(0.005)
        return BACK_LIMIT


@dataclass(frozen=True)
class Kind:
    name: str
    begin: Callable[[Line], None]
    end: Callable[[Line], None]
    lasts: float | None  # seconds; None: until the operation has ended
    away: bool  # until then the path carries nothing
    outage: Callable[[float], Outage]  # what the bound allows for a fault so far into the operation


KINDS = (
    Kind("black hole", Line.down, Line.up, None, True, Outage),
    Kind("reset", Line.reset, lambda _: None, 0, True, Outage),
    Kind(
        f"{LOSS} loss for {LOSS_TIME:g} s", Line.lose, Line.lose_nothing, LOSS_TIME, False,
        lambda into: Outage(into, into + LOSS_TIME, loses_line=False),
    ),
    Kind(
        "a tenth of the rate", Line.slow, Line.as_it_was, None, False,
        lambda into: Outage(into, left=TENTH, loses_line=False),
    ),
)


class Breaker:
    """Breaks a path in operation after operation."""

    def __init__(self, lab: Lab, paths: Sequence[Path], size: int, seed: int) -> None:
        self._line = Line(lab, BROKEN, paths[BROKEN])
        self._line.ready()
        self._paths = paths
        self._size = size
        self._dice = random.Random(seed)
        self._usual = bounds.water_fill(size, paths)

    def kinds(self, count: int) -> list[Kind]:
        """As many of each, in random order."""
        kinds = [KINDS[i % len(KINDS)] for i in range(count)]
        self._dice.shuffle(kinds)
        return kinds

    def once(self, job: Running, kind: Kind) -> FaultSeen | None:
        """One fault within one operation; None if the job does not go on."""
        for _ in range(10):
            started = job.next_start(60)
            if started is None:
                return None
            number, begin = started
            time.sleep(max(0.0, begin + self._dice.uniform(0.02, 0.95) * self._usual - time.monotonic()))
            before = time.monotonic()
            kind.begin(self._line)
            after = time.monotonic()
            end = None
            try:
                if kind.lasts is None:
                    end = job.end_of(number, OPERATION_LIMIT)
                else:
                    time.sleep(kind.lasts)
            finally:
                kind.end(self._line)
            back = self._line.until_data() if kind.away else None
            end = end or job.end_of(number, OPERATION_LIMIT)
            if end is None:
                return None
            if after < end:
                into = (before + after) / 2 - begin
                bound = bounds.with_outage(self._size, self._paths, BROKEN, kind.outage(into))
                return FaultSeen(kind.name, into, after - before, end - begin, bound, back)
        return None
