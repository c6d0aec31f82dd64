"""What path_matrix judges by: bounds of paths and sites, with and without an outage; jobs drawn from a seed."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("benchmarks/path_matrix", "benchmarks", "tools/lab")]

from labbench.figures import PAYLOAD_SHARE  # noqa: E402  (found by the line above)
from pathmatrix import bounds, randomjobs  # noqa: E402
from pathmatrix.bounds import Outage  # noqa: E402
from pathmatrix.change import ChangeSeen  # noqa: E402
from pathmatrix.faults import quantile  # noqa: E402

SIZE = 16 << 20
RATE = 200e6 / 8 * PAYLOAD_SHARE  # payload, bytes/s
EQUAL = [bounds.Path(200e6, 0.025), bounds.Path(200e6, 0.025)]


class WaterFill(unittest.TestCase):
    def test_all_paths_end_together(self) -> None:
        gigabit = 1e9 / PAYLOAD_SHARE
        paths = [bounds.Path(gigabit, 0.005), bounds.Path(gigabit, 0.050)]
        self.assertAlmostEqual(bounds.water_fill(64_000_000, paths), 0.2835)

    def test_a_path_too_long_is_of_no_use(self) -> None:
        paths = [bounds.Path(100e6, 0.005), bounds.Path(1e9, 0.5)]
        self.assertAlmostEqual(bounds.water_fill(1000, paths), bounds.water_fill(1000, paths[:1]))


class WithOutage(unittest.TestCase):
    def bound(self, outage: Outage) -> float:
        return bounds.with_outage(SIZE, EQUAL, 1, outage)

    def test_afterwards_it_costs_nothing(self) -> None:
        self.assertAlmostEqual(self.bound(Outage(10)), bounds.water_fill(SIZE, EQUAL))

    def test_from_the_start_the_other_path_does_it_all(self) -> None:
        self.assertAlmostEqual(self.bound(Outage(0)), bounds.water_fill(SIZE, EQUAL[:1]))

    def test_what_was_under_way_goes_again(self) -> None:
        arrived = RATE * (0.2 - 0.025)
        self.assertAlmostEqual(self.bound(Outage(0.2)), 0.025 + (SIZE - arrived) / RATE)

    def test_what_was_under_way_arrives_if_the_line_keeps_it(self) -> None:
        self.assertAlmostEqual(self.bound(Outage(0.2, loses_line=False)), 0.025 + (SIZE - RATE * 0.2) / RATE)

    def test_what_is_left_of_the_rate_counts(self) -> None:
        time = self.bound(Outage(0.2, left=0.1, loses_line=False))
        sent = RATE * (0.2 + 0.1 * (time - 0.025 - 0.2)) + RATE * (time - 0.025)
        self.assertAlmostEqual(sent / SIZE, 1)

    def test_a_path_that_is_back_counts_again(self) -> None:
        self.assertAlmostEqual(self.bound(Outage(0.1, 0.2, loses_line=False)), bounds.water_fill(SIZE, EQUAL) + 0.05)


class ByShares(unittest.TestCase):
    RATES = (150e6, 200e6, 250e6)

    def test_the_best_shares_are_as_good_as_any(self) -> None:
        for rates in (self.RATES, (130e6, 200e6, 200e6, 200e6), (100e6, 100e6, 100e6)):
            self.assertAlmostEqual(bounds.by_shares(SIZE, rates, 0.025, rates), bounds.sites(SIZE, rates, 0.025))

    def test_a_site_with_most_of_the_work_decides_when_it_is_slow(self) -> None:
        # Two thirds of the vector are the third site's, one and two thirds of it cross its line.
        time = bounds.by_shares(SIZE, (150e6, 200e6, 100e6), 0.025, self.RATES)
        self.assertAlmostEqual(time, 0.025 + SIZE * 8 / PAYLOAD_SHARE * (5 / 3) / 100e6)


class Change(unittest.TestCase):
    def test_settled_when_three_in_a_row_are_as_in_the_end(self) -> None:
        seen = ChangeSeen([1.0] * 8, [2.0, 2.0, 1.5, 2.0] + [1.5] * 8)
        self.assertEqual(seen.settled, 1.5)
        self.assertEqual(seen.settled_after, 4)

    def test_settled_at_once_if_nothing_comes_of_it(self) -> None:
        self.assertEqual(ChangeSeen([1.0] * 8, [2.0] * 16).settled_after, 0)


class Sites(unittest.TestCase):
    def test_the_slowest_or_all_together(self) -> None:
        unit = 8 / PAYLOAD_SHARE  # a byte at a rate of one
        for rates, times in (((1, 10, 10, 10), 1.0), ((0.5, 1, 1, 1), 2.0), ((2.5, 10, 10), 0.4), ((1, 1, 1, 1), 1.5)):
            self.assertAlmostEqual(bounds.sites(1, rates, 0) / unit, times)
        self.assertAlmostEqual(bounds.sites(0, (1, 1), 0.025), 0.025)


class Judging(unittest.TestCase):
    def test_quantile_is_one_of_the_values(self) -> None:
        values = [float(i) for i in range(1, 101)]
        self.assertEqual([quantile(values, share) for share in (0.5, 0.95, 1)], [50, 95, 100])
        self.assertEqual(quantile([7.0], 0.95), 7)

    def test_a_seed_draws_the_same_job_again(self) -> None:
        self.assertEqual(randomjobs.draw(3), randomjobs.draw(3))
        self.assertNotEqual(randomjobs.draw(3), randomjobs.draw(4))


if __name__ == "__main__":
    unittest.main(verbosity=2)
