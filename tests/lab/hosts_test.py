#!/usr/bin/env python3
"""Sites of unequal size, hosts without WAN, addresses, the management plane."""

import functools
import ipaddress
import json
import unittest
from typing import Any

from labtest import in_host, lab, main_in_lab, ping


@functools.cache
def hosts() -> dict[str, dict[str, Any]]:
    return json.loads(lab("hosts", "--json").stdout)


def address(host: str, interface: str, version: int = 4) -> str:
    return hosts()[host][f"ipv{version}"][interface]


class HostsTest(unittest.TestCase):
    def test_listing(self) -> None:
        lines = lab("hosts").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["s0h0", "s1h0", "s1h1", "s1h2"])
        self.assertEqual(lines[2].split()[1:], ["lan=10.77.16.2", "p0=10.77.17.2", "p1=10.77.18.2", "mgmt=10.78.1.2"])
        self.assertEqual(lines[3].split()[1:], ["lan=10.77.16.3", "mgmt=10.78.1.3"])

    def test_every_host_has_what_the_listing_says(self) -> None:
        for host, entry in hosts().items():
            links = json.loads(in_host(host, "ip", "-j", "address").stdout)
            for version, family in ((4, "inet"), (6, "inet6")):
                found = {
                    link["ifname"]: info["local"]
                    for link in links
                    for info in link["addr_info"]
                    if info["family"] == family and info["scope"] == "global"
                }
                found = {k: v for k, v in found.items() if k != "lo"}
                self.assertEqual(found, {k: _short(v) for k, v in entry[f"ipv{version}"].items()}, host)

    def test_hosts_with_wan_reach_each_other_on_every_interface(self) -> None:
        for version in (4, 6):
            for interface in ("lan", "p0", "p1"):
                for a, b in (("s0h0", "s1h0"), ("s1h1", "s0h0")):
                    own, far = address(a, interface, version), address(b, interface, version)
                    with self.subTest(own=own, far=far):
                        self.assertTrue(ping(a, far, "-I", own))

    def test_a_packet_takes_the_path_of_its_source(self) -> None:
        for version in (4, 6):
            for interface, delay in (("p0", 2), ("p1", 40)):
                own, far = address("s0h0", interface, version), address("s1h0", interface, version)
                best = min(ping("s0h0", far, "-I", own, count=5))
                self.assertGreaterEqual(best, 2 * delay)
                self.assertEqual(best < 80, interface == "p0")

    def test_a_path_is_taken_even_to_an_address_of_another(self) -> None:
        for version in (4, 6):
            own, far = address("s0h0", "p1", version), address("s1h0", "p0", version)
            best = min(ping("s0h0", far, "-I", own, count=5))
            self.assertGreaterEqual(best, 40 + 2, "there by path 1, back by path 0")
            self.assertLess(best, 80)

    def test_without_wan_no_other_site_is_reached(self) -> None:
        for version in (4, 6):
            for interface in ("lan", "p0"):
                self.assertFalse(ping("s1h2", address("s0h0", interface, version), "-W", "1"))
            self.assertFalse(ping("s0h0", address("s1h2", "lan", version), "-W", "1"))

    def test_not_even_by_a_route_of_its_own_making(self) -> None:
        for version, router in ((4, "10.77.16.254"), (6, "fd77:1:0::fe")):
            in_host("s1h2", "ip", f"-{version}", "route", "add", "default", "via", router, "dev", "lan")
            self.assertFalse(ping("s1h2", address("s0h0", "lan", version), "-W", "1"))
            in_host("s1h2", "ip", f"-{version}", "route", "del", "default")

    def test_without_wan_its_own_site_is_reached(self) -> None:
        for version in (4, 6):
            self.assertTrue(ping("s1h2", address("s1h0", "lan", version)))

    def test_management_joins_all_hosts(self) -> None:
        for version in (4, 6):
            for a, b in (("s1h2", "s0h0"), ("s0h0", "s1h2"), ("s0h0", "s1h0")):
                best = min(ping(a, address(b, "mgmt", version), count=5))
                self.assertLess(best, 40, "not over a path")

    def test_management_counts_what_hosts_send(self) -> None:
        def sent() -> int:
            return json.loads(lab("stats", "mgmt").stdout)["mgmt"]["s1h1"]

        before = sent()
        ping("s1h1", address("s1h0", "p0"), "-s", "1000", count=10)
        self.assertLess(sent() - before, 5_000, "data went over the management plane")
        ping("s1h1", address("s1h0", "mgmt"), "-s", "1000", count=10)
        self.assertGreaterEqual(sent() - before, 10_000)

    def test_unknown_hosts_are_refused_by_name(self) -> None:
        refused = lab("exec", "s7h0", "--", "true", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("s7h0", refused.stderr)


def _short(text: str) -> str:
    """As `ip` writes an address."""
    return str(ipaddress.ip_address(text))


if __name__ == "__main__":
    main_in_lab("--hosts", "1,3", "--no-wan", "s1h2", "--path", "delay=2ms", "--path", "delay=40ms")
