#!/usr/bin/env python3
"""Congestion control of the hosts: what sockets get, what is refused, what is restored."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from labtest import LAB, UNSUPPORTED, lab, main_without_lab, name, wait_until

SYSCTL = Path("/proc/sys/net/ipv4")
HOLDERS = Path("/run/longhaul-lab/allowed-congestion-control.json")
ASK = """
import json, socket, sys
s = socket.socket()
answers = {"default": s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\\0")[0].decode()}
for name in sys.argv[1:]:
    try:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        answers[name] = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\\0")[0].decode()
    except OSError as error:
        answers[name] = error.strerror
print(json.dumps(answers))
"""
ASK_COMMAND = [sys.executable, "-c", ASK]


def words(file: str) -> list[str]:
    return (SYSCTL / file).read_text(encoding="ascii").split()


def allowed() -> list[str]:
    return words("tcp_allowed_congestion_control")


class OneLabTest(unittest.TestCase):
    def test_reno_everywhere_by_default_and_no_trace_after(self) -> None:
        script = f"for h in s0h0 s1h0; do {' '.join(LAB)} exec $h -- {sys.executable} -c '{ASK}'; done"
        done = lab("run", "--cc", "reno", "--", "sh", "-c", script, which=name("reno"))
        self.assertEqual([json.loads(line)["default"] for line in done.stdout.splitlines()], ["reno"] * 2)

    def test_unknown_algorithms_are_refused_not_replaced(self) -> None:
        done = lab("run", "--cc", "nonsense", "--", "true", which=name("bad"), check=False)
        self.assertEqual(done.returncode, UNSUPPORTED)
        self.assertIn("cannot be measured here", done.stderr)

    def test_a_denied_default_is_refused(self) -> None:
        done = lab("run", "--cc", "reno", "--deny-cc", "reno", "--", "true", which=name("bad"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another default", done.stderr)


@unittest.skipUnless(os.geteuid() == 0, "only root can change what the machine allows")
@unittest.skipIf(HOLDERS.exists(), "another lab has changed what the machine allows")
class AllowedListTest(unittest.TestCase):
    def setUp(self) -> None:
        self.before = allowed()
        self.labs: list[str] = []

    def tearDown(self) -> None:
        for which in self.labs:
            lab("down", which=which, check=False)
        self.assertEqual(allowed(), self.before, "not restored")

    def up(self, *options: str) -> str:
        which = name(f"cc{len(self.labs)}")
        self.labs.append(which)
        lab("up", *options, which=which)
        return which

    def ask(self, which: str, *names: str, verb: tuple[str, ...] = ("exec", "s0h0")) -> dict[str, str]:
        return json.loads(lab(*verb, "--", *ASK_COMMAND, *names, which=which).stdout)

    def restricted(self) -> str:
        """An algorithm this kernel has but does not allow everybody."""
        found = [n for n in words("tcp_available_congestion_control") if n not in self.before]
        return found[0] if found else self.skipTest("this machine allows all it has")

    def test_a_restricted_default_is_allowed_while_the_lab_is_up(self) -> None:
        chosen = self.restricted()
        which = self.up("--cc", chosen)
        self.assertIn(chosen, allowed())
        self.assertEqual(self.ask(which)["default"], chosen)
        lab("down", which=which)
        self.assertEqual(allowed(), self.before)

    def test_the_list_is_restored_when_raising_fails(self) -> None:
        done = lab("up", "--cc", self.restricted(), "--path", "rate=1furlong", which=name("fail"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("1furlong", done.stderr)

    def test_the_list_is_restored_when_a_run_is_interrupted(self) -> None:
        chosen = self.restricted()
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([*LAB, "--lab", name("int"), "run", "--cc", chosen, "--", "sleep", "600"])
            self.assertTrue(wait_until(lambda: chosen in allowed()))
            process.send_signal(number)
            self.assertEqual(process.wait(60), 128 + number)
            self.assertEqual(allowed(), self.before)

    def test_a_denied_algorithm_is_refused_to_programs(self) -> None:
        denied = next((n for n in self.before if n != "reno"), None) or self.skipTest("only reno is allowed")
        which = self.up("--cc", "reno", "--deny-cc", denied)
        for verb in (("exec", "s0h0"), ("spread",)):
            answers = self.ask(which, denied, "reno", verb=verb)
            self.assertEqual(answers[denied], "Operation not permitted")
            self.assertEqual(answers["reno"], "reno")

    def test_labs_that_differ_live_side_by_side(self) -> None:
        denied = next((n for n in self.before if n != "reno"), None) or self.skipTest("only reno is allowed")
        strict = self.up("--cc", "reno", "--deny-cc", denied)
        other = self.up("--cc", denied)
        self.assertEqual(self.ask(other)["default"], denied)
        self.assertNotIn(denied, allowed())
        lab("down", which=strict)
        self.assertIn(denied, allowed())
        self.assertEqual(self.ask(other)["default"], denied)


if __name__ == "__main__":
    main_without_lab()
