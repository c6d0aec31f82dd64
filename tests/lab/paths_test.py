#!/usr/bin/env python3
"""Whole jobs of longhaul over two paths: which of them carry data, and what becomes of those that do not."""

import os
import subprocess
import time
import unittest

from labtest import LAB, lab, main_in_lab, reset_stats, set_link, stats

PERF = os.environ.get("LONGHAUL_PERF", "build/dev/benchmarks/longhaul_perf/longhaul_perf")
JOB = ["spread", "--env", "LONGHAUL_INTERFACES=lan,p0,p1", "--env", "LONGHAUL_TIMEOUT=20s"]
BOTH = ["--env", "LONGHAUL_PATHS=p0,p1"]
WORK = ["--", PERF, "--sizes", "4M", "-n", "4", "-c", "1"]
RIGHT = "Out of bounds values : 0 OK"


def sent(link: str) -> int:
    """Bytes over a path, both directions."""
    return sum(stats(link)[direction]["out_bytes"] for direction in ("ab", "ba"))


class PathsTest(unittest.TestCase):
    def setUp(self) -> None:
        reset_stats()

    def tearDown(self) -> None:
        for link in ("p0", "p1"):
            set_link(link, "up")

    def test_both_paths_carry_data(self) -> None:
        self.assertIn(RIGHT, lab(*JOB, *BOTH, *WORK).stdout)
        for link in ("p0", "p1"):
            self.assertGreater(sent(link), 4 << 20, link)

    def test_only_the_path_that_is_asked_for_is_used(self) -> None:
        self.assertIn(RIGHT, lab(*JOB, "--env", "LONGHAUL_PATHS=p1", *WORK).stdout)
        self.assertGreater(sent("p1"), 4 << 20)
        self.assertLess(sent("p0"), 1 << 16)

    def test_a_path_that_is_down_from_the_start_is_told_of_and_does_no_harm(self) -> None:
        set_link("p1", "down")
        done = lab(*JOB, *BOTH, "--", PERF, "--sizes", "4M", "-n", "200", "-c", "1")
        self.assertIn(RIGHT, done.stdout)
        self.assertRegex(done.stdout + done.stderr, r"path 10\.77\.\d+\.1 -> 10\.77\.\d+\.1 \(p1\) to .* cannot be opened")

    def test_a_path_that_comes_up_later_joins(self) -> None:
        set_link("p1", "down")
        command = [*LAB, *JOB, *BOTH, "--", PERF, "--sizes", "1M", "-n", "100000"]
        job = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            time.sleep(8)  # it has begun
            self.assertIsNone(job.poll())
            self.assertLess(sent("p1"), 1 << 16)
            set_link("p1", "up")
            until = time.monotonic() + 20
            while sent("p1") < 1 << 20 and time.monotonic() < until:
                time.sleep(0.1)
            self.assertGreater(sent("p1"), 1 << 20)
        finally:
            job.terminate()
            job.communicate(timeout=60)


if __name__ == "__main__":
    path = "rate=200mbit,delay=5ms"
    main_in_lab("--sites", "2", "--hosts", "1", "--path", path, "--path", path)
