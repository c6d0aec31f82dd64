"""The least time that lines and paths allow. Pure.

Rates are bits/s of IP packets, of which the payload has PAYLOAD_SHARE; delays are seconds, one way; sizes are bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labbench.figures import PAYLOAD_SHARE


@dataclass(frozen=True)
class Path:
    rate: float
    delay: float

    @property
    def bytes_per_second(self) -> float:
        return self.rate * PAYLOAD_SHARE / 8


@dataclass(frozen=True)
class Outage:
    """From `begin` to `end`, seconds after the start, a path's rate is `left` of what it was.

    `loses_line`: what is under way when it begins is lost as well.
    """

    begin: float
    end: float = float("inf")
    left: float = 0.0
    loses_line: bool = True


def solve(arrived: Callable[[float], float], size: float, begin: float) -> float:
    """When `arrived`, bytes by a time, which never falls, reaches `size`; not before `begin`."""
    low, high = begin, begin + 1.0
    while arrived(high) < size:
        high *= 2
        if high > 1e6:
            return float("inf")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if arrived(middle) < size else (low, middle)
    return high


def water_fill(size: int, paths: Sequence[Path]) -> float:
    """All paths end together: the T of sum_j h B_j (T - o_j)+ = S. A path counts only if its delay is below T."""
    least = min(path.delay for path in paths)
    return solve(lambda t: sum(path.bytes_per_second * max(0.0, t - path.delay) for path in paths), size, least)


def with_outage(size: int, paths: Sequence[Path], broken: int, outage: Outage) -> float:
    """The same if one path has an outage.

    What has left a path by time t arrives by t + o_j. The broken one sends at its rate until the outage, at what is left of it
    until that ends, and at its rate again. If the outage takes the line along, what left within o_j before it is lost, and
    goes over the others again:

        arrived_j(T) = h B_j (sent(T - o_j) - lost),  lost = sent(begin) - sent(begin - o_j) from T = begin on
    """

    def sent(path: Path, until: float) -> float:
        inside = min(max(0.0, until - outage.begin), max(0.0, outage.end - outage.begin))
        return path.bytes_per_second * (max(0.0, until) - inside * (1 - outage.left))

    def arrived(t: float) -> float:
        total = 0.0
        for index, path in enumerate(paths):
            if index != broken:
                total += path.bytes_per_second * max(0.0, t - path.delay)
                continue
            here = sent(path, t - path.delay)
            if outage.loses_line and t > outage.begin:
                before = sent(path, outage.begin - path.delay)
                here = before + max(0.0, here - sent(path, outage.begin))
            total += here
        return total

    return solve(arrived, size, min(path.delay for path in paths))


def by_shares(size: int, rates: Sequence[float], delay: float, planned: Sequence[float]) -> float:
    """The same where each site adds up what would be best at the rates `planned`: o + S/h max (1 + (k-2) x_i) / B_i.

    The best shares x_i, from three sites on, fill every line for an equal time: x_i = (T B_i / S - 1) / (k-2), none below 0,
    T being that for which they add up to 1.
    """
    others = len(planned) - 2

    def shares(period: float) -> list[float]:
        return [max(0.0, period * rate - 1) / others for rate in planned]

    period = solve(lambda t: sum(shares(t / sum(planned))), 1.0, 0.0) / sum(planned)
    busiest = max((1 + others * share) / rate for share, rate in zip(shares(period), rates))
    return delay + size * 8 / PAYLOAD_SHARE * busiest


def sites(size: int, rates: Sequence[float], delay: float) -> float:
    """T_LB of sites with one access link each: o + S/h max(1/B_min, 2(k-1) / sum B_i)."""
    rounds = max(1 / min(rates), 2 * (len(rates) - 1) / sum(rates))
    return delay + size * 8 / PAYLOAD_SHARE * rounds
