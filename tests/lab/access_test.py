#!/usr/bin/env python3
"""Access links: each site is limited by its own up and down direction."""

import json
import unittest

from labtest import (
    begin_transfer,
    finish_transfer,
    goodput,
    lab,
    main_in_lab,
    ping,
    reset_stats,
    set_link,
    stats,
    transfer,
)

SHARE = 1448 / 1500
S0, S1, S2 = "10.77.1.1", "10.77.17.1", "10.77.33.1"


def shape(*settings: str) -> None:
    set_link("p0", "rate=none", "delay=0ms", "queue=200kb", *settings)
    reset_stats()


class AccessTest(unittest.TestCase):
    def test_delay_is_the_sum_of_up_here_and_down_there(self) -> None:
        shape("delay=0ms")
        set_link("s0", "up.delay=5ms", "down.delay=10ms")
        set_link("s1", "up.delay=20ms", "down.delay=40ms")
        for own, far in ((S0, S1), ("fd77:0:1::1", "fd77:1:1::1")):
            best = min(ping("s0h0", far, "-I", own, count=10))
            self.assertGreaterEqual(best, 5 + 40 + 20 + 10)
            self.assertLess(best, 75 + 5)

    def test_one_flow_is_bound_by_the_slower_of_up_and_down(self) -> None:
        for setting in (("s1", "up.rate=20mbit"), ("s0", "down.rate=20mbit")):
            shape("rate=200mbit", "delay=1ms")
            set_link(*setting)
            with self.subTest(setting=setting):
                found = transfer("s1h0", S1, "s0h0", S0, 5)
                self.assertLess(found, 20 * SHARE * 1.03)
                self.assertGreater(found, 20 * SHARE * 0.5)

    def test_two_flows_into_one_site_share_its_down_rate(self) -> None:
        shape("rate=200mbit", "delay=1ms")
        set_link("s0", "down.rate=30mbit")
        running = [
            begin_transfer("s1h0", S1, "s0h0", S0, 8, port=7001),
            begin_transfer("s2h0", S2, "s0h0", S0, 8, port=7002),
        ]
        together = goodput(*(finish_transfer(r) for r in running))
        self.assertLess(together, 30 * SHARE * 1.03)
        self.assertGreater(together, 30 * SHARE * 0.5)

    def test_a_flow_between_others_does_not_touch_it(self) -> None:
        shape("rate=200mbit", "delay=1ms")
        set_link("s0", "down")
        self.assertGreater(transfer("s1h0", S1, "s2h0", S2, 4), 20)
        self.assertEqual(stats("s0")["down"]["in_segs"], 0)
        set_link("s0", "up")

    def test_stats_name_sites_and_directions(self) -> None:
        found = json.loads(lab("stats").stdout)
        self.assertEqual(list(found), ["s0", "s1", "s2"])
        self.assertLessEqual({"up", "down"}, set(found["s0"]))

    def test_directions_of_a_path_are_refused(self) -> None:
        refused = lab("set", "s0", "ab.rate=1mbit", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("up. and down.", refused.stderr)


if __name__ == "__main__":
    main_in_lab("--sites", "3", "--access", "rate=200mbit,delay=1ms")
