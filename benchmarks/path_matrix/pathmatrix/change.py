"""A line that is slower from some moment on: is the work shared out anew, by a job that goes on?"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from labtool.lab import Lab

from pathmatrix.faults import OPERATION_LIMIT, Running
from pathmatrix.scenarios import Scenario

FIRST = 4  # operations that are not looked at: lines are still being learnt
BEFORE = 8
AFTER = 64
LAST = 8  # of those after the change: what has come of it
NEAR = 1.1  # of what has come of it: settled


@dataclass(frozen=True)
class ChangeSeen:
    before: list[float]  # seconds, operation by operation
    after: list[float]

    @property
    def usual(self) -> float:
        return statistics.median(self.before)

    @property
    def settled(self) -> float:
        return statistics.median(self.after[-LAST:])

    @property
    def settled_after(self) -> int:
        """Operations until three in a row were near to what they are in the end."""
        near = [time <= NEAR * self.settled for time in self.after]
        return next((i for i in range(len(near) - 2) if all(near[i : i + 3])), len(near))


def watch(job: Running, lab: Lab, scenario: Scenario) -> ChangeSeen | None:
    """None if the job does not go on."""
    started = job.next_start(60)
    if started is None:
        return None
    first = started[0] + FIRST
    before = _durations(job, range(started[0], first + BEFORE))
    for site, (old, new) in enumerate(zip(scenario.site_rates, scenario.change)):
        if new != old:
            lab.set(f"s{site}", [f"rate={new:.0f}bit"])
    # The one that the change met is neither this nor that.
    after = _durations(job, range(first + BEFORE, first + BEFORE + 1 + AFTER))
    if len(before) < FIRST + BEFORE or len(after) < 1 + AFTER:
        return None
    return ChangeSeen(before[FIRST:], after[1:])


def _durations(job: Running, numbers: Sequence[int]) -> list[float]:
    seen: list[float] = []
    for number in numbers:
        duration = job.duration_of(number, OPERATION_LIMIT)
        if duration is None:
            break
        seen.append(duration)
    return seen
