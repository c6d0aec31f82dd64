#!/usr/bin/env python3
"""Loss, bursts, reordering, duplicates; super-packets cut on the way, IPv4 and IPv6.

The dice are seeded. The bounds of counts are five standard deviations.
"""

import json
import math
import statistics
import unittest

from labtest import TRAFFIC, in_host, main_in_lab, reset_stats, set_link, start, stats, transfer, wait_until

PAIRS = (("10.77.1.1", "10.77.17.1"), ("fd77:0:1::1", "fd77:1:1::1"))
OFFLOADS = ("tx", "rx", "tso", "gso")


def shape(*settings: str) -> None:
    calm = ["rate=none", "delay=0ms", "loss=0", "burst=0", "reorder=0", "dup=0", "late=1ms", "queue=bdp"]
    set_link("p0", *calm, *settings)
    reset_stats()


def receive_errors() -> int:
    """UDP packets the receiver had no room for, both families."""
    text = in_host("s1h0", "sh", "-c", "grep ^Udp: /proc/net/snmp | tail -1; grep ^Udp6RcvbufErrors /proc/net/snmp6")
    rows = text.stdout.split()
    return int(rows[5]) + int(rows[-1])


def checksum_errors() -> int:
    found = 0
    for host in ("s0h0", "s1h0"):
        rows = [line.split() for line in in_host(host, "cat", "/proc/net/snmp").stdout.splitlines()]
        for names, values in zip(rows[::2], rows[1::2]):
            found += sum(int(v) for n, v in zip(names, values) if n in ("InCsumErrors", "InHdrErrors"))
        for line in in_host(host, "cat", "/proc/net/snmp6").stdout.splitlines():
            key, value = line.split()
            found += int(value) if key in ("Udp6InCsumErrors", "Ip6InHdrErrors") else 0
    return found


def send(count: int, own: str = PAIRS[0][0], far: str = PAIRS[0][1]) -> tuple[list[int], int]:
    """The numbers that arrived, in order, and how many the receiver had no room for."""
    before = receive_errors()
    sink = start("s1h0", *TRAFFIC, "udp-sink", far, "7002")
    assert sink.stdout and sink.stdout.readline() == "ready\n"
    in_host("s0h0", *TRAFFIC, "udp-source", own, far, "7002", str(count))
    assert wait_until(lambda: stats("p0")["ab"]["in_flight"] == 0)
    seen = json.loads(sink.communicate(timeout=60)[0])
    return seen, receive_errors() - before


def bound(n: int, p: float) -> float:
    return 5 * math.sqrt(n * p * (1 - p))


class FaultsTest(unittest.TestCase):
    def test_super_packets_pass_in_one_piece_and_in_order(self) -> None:
        for own, far in PAIRS:
            shape()
            with self.subTest(to=far):
                seen, overrun = send(10_000, own, far)
                self.assertEqual(len(seen) + overrun, 10_000)
                self.assertEqual(seen, sorted(set(seen)))
                self.assertNotIn(-1, seen)
                now = stats("p0")["ab"]
                self.assertLess(now["in_frames"] * 4, now["in_segs"], "cut before the emulator")

    def test_independent_loss_falls_on_segments_not_on_super_packets(self) -> None:
        n = 40_000
        for own, far in PAIRS:
            shape("loss=1%")
            with self.subTest(to=far):
                seen, overrun = send(n, own, far)
                lost = stats("p0")["ab"]["lost"]
                self.assertEqual(len(seen) + overrun + lost, n)
                self.assertNotIn(-1, seen)
                self.assertAlmostEqual(lost, n * 0.01, delta=bound(n, 0.01))

    def test_bursts_have_their_mean_length(self) -> None:
        n = 60_000
        shape("loss=1%", "burst=10")
        seen, overrun = send(n)
        lost = stats("p0")["ab"]["lost"]
        self.assertEqual(len(seen) + overrun + lost, n)
        # 60 bursts with mean 10 and variance 90 are expected.
        self.assertAlmostEqual(lost, 600, delta=5 * math.sqrt(60 * 190))
        if overrun == 0:
            gaps = [b - a - 1 for a, b in zip(seen, seen[1:]) if b > a + 1]
            self.assertAlmostEqual(statistics.mean(gaps), 10, delta=5 * math.sqrt(90 / 60))

    def test_reordered_segments_come_behind_their_followers(self) -> None:
        n = 10_000
        shape("reorder=1%", "late=2ms", "rate=1gbit", "queue=1gb")
        seen, overrun = send(n)
        self.assertEqual(len(set(seen)) + overrun, n)
        self.assertAlmostEqual(stats("p0")["ab"]["reordered"], n * 0.01, delta=bound(n, 0.01))
        self.assertGreater(sum(b < a for a, b in zip(seen, seen[1:])), n * 0.001)

    def test_duplicates_are_whole_packets(self) -> None:
        n = 10_000
        shape("dup=5%")
        seen, overrun = send(n)
        doubled = stats("p0")["ab"]["duplicated"]
        self.assertGreater(doubled, 0)
        self.assertEqual(len(seen) + overrun, n + doubled)
        self.assertNotIn(-1, seen)

    def test_the_queue_drops_the_tail_and_counts_it(self) -> None:
        n = 8_000
        shape("rate=50mbit", "queue=20ms")
        seen, overrun = send(n)
        now = stats("p0")["ab"]
        self.assertGreater(now["tail_dropped"], 0)
        self.assertEqual(len(seen) + overrun + now["tail_dropped"], n)
        self.assertLessEqual(now["max_backlog"], 125_000)

    def test_checksums_are_right_where_no_offload_hides_them(self) -> None:
        """With offloads off on the last hop the kernel completes and verifies in software."""
        last_hop = (("s0", "p0.h0"), ("s1", "p0.h0"), ("s1h0", "p0"))
        for where, device in last_hop:
            in_host(where, "ethtool", "-K", device, *(w for o in OFFLOADS for w in (o, "off")), check=False)
        before = checksum_errors()
        try:
            for own, far in PAIRS:
                shape("delay=1ms", "loss=3%", "rate=2gbit")
                with self.subTest(to=far):
                    transfer("s0h0", own, "s1h0", far, 16)  # checks the content
                    now = stats("p0")["ab"]
                    self.assertGreater(now["lost"], 200)
                    self.assertLess(now["in_frames"], now["in_segs"])
                    seen, _ = send(4_000, own, far)
                    self.assertNotIn(-1, seen)
            self.assertEqual(checksum_errors(), before)
        finally:
            for where, device in last_hop:
                in_host(where, "ethtool", "-K", device, *(w for o in OFFLOADS for w in (o, "on")), check=False)


if __name__ == "__main__":
    main_in_lab("--path", "rate=none", "--seed", "7")
