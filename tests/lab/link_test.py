#!/usr/bin/env python3
"""A path's delay, rate, queue and black hole, as hosts see them."""

import json
import re
import unittest

from labtest import (
    begin_transfer,
    finish_transfer,
    goodput,
    in_host,
    lab,
    main_in_lab,
    ping,
    reset_stats,
    set_link,
    start,
    stats,
    transfer,
    wait_until,
)

A4, B4 = "10.77.1.1", "10.77.17.1"
A6, B6 = "fd77:0:1::1", "fd77:1:1::1"
SHARE = 1448 / 1500  # of the rate that TCP's payload can have


def shape(*settings: str) -> None:
    set_link("p0", "up", "rate=none", "delay=0ms", "queue=bdp", *settings)
    reset_stats()


class LinkTest(unittest.TestCase):
    def test_delay_is_never_short_and_hardly_long(self) -> None:
        for own, far in ((A4, B4), (A6, B6)):
            for delay in (0.5, 5.0, 50.0):
                shape(f"delay={delay}ms")
                with self.subTest(delay=delay, to=far):
                    best = min(ping("s0h0", far, "-I", own, count=20))
                    self.assertGreaterEqual(best, 2 * delay)
                    self.assertLess(best, 2 * delay + 5)

    def test_directions_are_set_apart(self) -> None:
        shape("ab.delay=40ms", "ba.delay=5ms")
        best = min(ping("s0h0", B4, "-I", A4, count=10))
        self.assertGreaterEqual(best, 45)
        self.assertLess(best, 52)

    def test_rate_bounds_tcp(self) -> None:
        shape("rate=50mbit", "delay=5ms", "queue=50ms")
        found = transfer("s0h0", A4, "s1h0", B4, 12)
        # The receiver's clock starts a little after the first byte.
        self.assertLess(found, 50 * SHARE * 1.02)
        self.assertGreater(found, 50 * SHARE * 0.5)

    def test_a_new_rate_holds_at_once(self) -> None:
        shape("rate=10mbit", "delay=2ms")
        running = begin_transfer("s0h0", A4, "s1h0", B4, 12)
        self.assertTrue(wait_until(lambda: stats("p0")["ab"]["out_bytes"] > 100_000))
        set_link("p0", "rate=200mbit")
        self.assertGreater(goodput(finish_transfer(running)), 13)

    def test_the_queue_has_its_length(self) -> None:
        shape("rate=20mbit", "delay=10ms", "queue=100ms")
        transfer("s0h0", A4, "s1h0", B4, 4)
        now = stats("p0")["ab"]
        self.assertEqual(now["queue"], 250_000)
        self.assertLessEqual(now["max_backlog"], 250_000)

    def test_a_black_hole_swallows_what_is_under_way(self) -> None:
        shape("delay=200ms")
        process = start("s0h0", "ping", "-n", "-i", "0.1", "-c", "40", "-I", A4, B4)
        self.assertTrue(wait_until(lambda: stats("p0")["ba"]["in_segs"] > 3))
        set_link("p0", "down")
        self.assertTrue(wait_until(lambda: stats("p0")["ab"]["down_dropped"] > 5))
        set_link("p0", "up")
        answers = [int(n) for n in re.findall(r"icmp_seq=(\d+)", process.communicate(timeout=60)[0])]
        self.assertEqual(answers[0], 1)
        self.assertEqual(answers[-1], 40)
        lost = 40 - len(answers)
        now = stats("p0")
        self.assertEqual(lost, now["ab"]["down_dropped"] + now["ba"]["down_dropped"])
        gap = max(b - a for a, b in zip(answers, answers[1:]))
        self.assertEqual(gap, lost + 1, "one hole, and nothing lost beside it")

    def test_a_wrong_setting_is_refused_and_changes_nothing(self) -> None:
        shape("delay=3ms")
        refused = lab("set", "p0", "delay=9ms", "rate=1furlong", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("1furlong", refused.stderr)
        self.assertEqual(stats("p0")["ab"]["delay_ms"], 3)

    def test_tcp_may_have_more_than_four_megabytes_under_way(self) -> None:
        limits = in_host("s0h0", "cat", "/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv4/tcp_rmem").stdout.split()
        self.assertEqual([limits[2], limits[5]], ["268435456"] * 2)

    def test_stats_of_all_links_are_one_json_object(self) -> None:
        self.assertEqual(list(json.loads(lab("stats").stdout)), ["p0:0-1"])


if __name__ == "__main__":
    main_in_lab("--path", "rate=none")
