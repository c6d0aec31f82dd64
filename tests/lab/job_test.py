#!/usr/bin/env python3
"""Whole jobs of longhaul in a lab: right sums, bounded memory, and news of a line that is gone."""

import os
import re
import subprocess
import time
import unittest

from labtest import LAB, lab, main_in_lab, set_link

PERF = os.environ.get("LONGHAUL_PERF", "build/dev/benchmarks/longhaul_perf/longhaul_perf")
JOB = ["spread", "--env", "LONGHAUL_INTERFACES=lan"]
PRODUCT = 500e6 / 8 * 0.05 / 1e6  # MB: bandwidth times delay of the line below


class JobTest(unittest.TestCase):
    def tearDown(self) -> None:
        set_link("p0", "up", "loss=0")

    def test_every_element_of_every_rank_is_right_over_a_lossy_line(self) -> None:
        set_link("p0", "loss=0.5%")
        done = lab(*JOB, "--", PERF, "--sizes", "0,8,100K,4M", "-d", "bfloat16", "-o", "avg", "-n", "3", "-c", "1")
        self.assertIn("Out of bounds values : 0 OK", done.stdout)
        rows = [line.split() for line in done.stdout.splitlines() if re.match(r" +\d+ +\d+ ", line)]
        self.assertEqual([row[0] for row in rows], ["0", "8", "102400", "4194304"])

    def test_memory_is_buffers_two_products_and_64_megabytes(self) -> None:
        # docs/adr/0001: a rank of this job has one peer in the other site.
        done = lab(*JOB, "--", PERF, "--sizes", "64M", "-n", "2", "-c", "0", "-M", "1")
        found = re.search(r"buffers ([\d.]+) MB \| peak resident ([\d.]+) MB", done.stdout)
        assert found, done.stdout
        buffers, resident = float(found[1]), float(found[2])
        self.assertGreater(buffers, 134)
        self.assertLess(resident - buffers, 2 * PRODUCT + 64 * 1.048576)

    def test_a_line_that_is_gone_is_reported_on_every_rank(self) -> None:
        command = [*LAB, *JOB, "--env", "LONGHAUL_TIMEOUT=3s", "--", PERF, "--sizes", "64K", "-n", "100000"]
        job = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(8)  # it has begun
        self.assertIsNone(job.poll())
        set_link("p0", "down")
        output = job.communicate(timeout=60)[0]
        self.assertNotEqual(job.returncode, 0)
        for rank in ("", "[1] ", "[2] ", "[3] "):
            self.assertRegex(output, rf"(?m)^{re.escape(rank)}.*kUnreachable", output)


if __name__ == "__main__":
    main_in_lab("--sites", "2", "--hosts", "2", "--path", "rate=500mbit,delay=25ms")
