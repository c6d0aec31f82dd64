#!/usr/bin/env python3
"""Plans: from the words of the command line to hosts, links, routes and addresses. Pure."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/lab"))

from labtool import network, plan  # noqa: E402
from labtool.addresses import IPV4, IPV6  # noqa: E402
from labtool.errors import LabError  # noqa: E402


def make(hosts: tuple[int, ...], paths: list[str] | None = None, access: list[str] | None = None) -> plan.Plan:
    return plan.Plan("t", hosts, plan.parse_links(paths or [], access or [], len(hosts)))


class HostsTest(unittest.TestCase):
    def test_counts(self) -> None:
        self.assertEqual(plan.parse_hosts("2", None), (2, 2))
        self.assertEqual(plan.parse_hosts("2", 3), (2, 2, 2))
        self.assertEqual(plan.parse_hosts("2,3", None), (2, 3))
        for text, sites in (("2,3", 3), ("0", 2), ("x", 2), ("1", 17), ("254", 1)):
            with self.assertRaises(LabError):
                plan.parse_hosts(text, sites)

    def test_ranks_go_site_by_site(self) -> None:
        self.assertEqual([h.name for h in make((1, 2)).hosts()], ["s0h0", "s1h0", "s1h1"])


class LinksTest(unittest.TestCase):
    def test_a_path_joins_all_pairs_or_those_said(self) -> None:
        names = [link.name for link in make((1, 1, 1), ["rate=1gbit", "sites=0-1,sites=2-1,delay=1ms"]).links]
        self.assertEqual(names, ["p0:0-1", "p0:0-2", "p0:1-2", "p1:0-1", "p1:1-2"])

    def test_settings_are_without_the_sites(self) -> None:
        self.assertEqual(make((1, 1), ["sites=0-1,delay=1ms"]).links[0].settings, ("delay=1ms",))

    def test_access_settings_for_one_site_follow_those_for_all(self) -> None:
        links = make((1, 1), access=["rate=1gbit", "s1:up.rate=5mbit"]).links
        self.assertEqual([link.name for link in links], ["s0", "s1"])
        self.assertEqual(links[0].settings, ("rate=1gbit",))
        self.assertEqual(links[1].words(list(links[1].settings)), ["rate=1gbit", "ab.rate=5mbit"])

    def test_next_hops_by_fewest_hops(self) -> None:
        chain = make((1, 1, 1), ["sites=0-1,sites=1-2"])
        self.assertEqual(chain.next_hops("s0"), {"s1": "p0.s1", "s2": "p0.s1"})
        star = make((1, 1, 1), access=["rate=1gbit"])
        self.assertEqual(star.next_hops("s0"), {"core": "p0.core", "s1": "p0.core", "s2": "p0.core"})

    def test_a_plan_survives_storage(self) -> None:
        for p in (make((1, 2), ["sites=0-1,delay=1ms"]), make((2, 2), access=["rate=1gbit"])):
            self.assertEqual(plan.Plan.from_json(p.to_json()), p)

    def test_choosing_links(self) -> None:
        p = make((1, 1, 1), ["delay=1ms", "sites=0-1"])
        self.assertEqual(len(p.choose("p0")), 3)
        self.assertEqual([link.name for link in p.choose("p1:0-1")], ["p1:0-1"])
        with self.assertRaises(LabError):
            p.choose("p7")


class AddressesTest(unittest.TestCase):
    def test_scheme(self) -> None:
        self.assertEqual(IPV4.host(15, 15, 253), "10.77.255.253")
        self.assertEqual(IPV6.host(10, 1, 17), "fd77:a:1::11")

    def test_no_two_interfaces_share_an_address(self) -> None:
        p = make((3,) * 16, ["delay=1ms"] * 15)
        for family in (IPV4, IPV6):
            every = [p.address(h, name, family) for h in p.hosts() for name, _ in p.interfaces(h)]
            every += [p.address(h, "mgmt", family) for h in p.hosts()]
            self.assertEqual(len(set(every)), 3 * 16 * 17)

    def test_without_wan_there_is_only_the_lan(self) -> None:
        p = plan.Plan("t", (1, 2), plan.parse_links(["delay=1ms"], [], 2), no_wan=("s1h1",))
        self.assertEqual(p.interfaces(p.host("s1h1")), [("lan", 0)])
        routes = network.host_address_lines(p, p.host("s1h1"), IPV4)
        self.assertFalse([line for line in routes if line.startswith("route")])


class InterfaceNamesTest(unittest.TestCase):
    def test_names_fit_the_kernel(self) -> None:
        p = make((253,) * 2, ["delay=1ms"] * 15)
        lines = network.management_lines(p) + network.site_link_lines(p, 1)
        names = [line.split()[2] for line in lines if line.startswith("link add")]
        self.assertLessEqual(max(len(name) for name in names), 15)


if __name__ == "__main__":
    unittest.main(verbosity=2)
