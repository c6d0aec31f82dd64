#!/usr/bin/env python3
"""Raising and taking down: exit codes, failures, interruptions, labs side by side."""

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from labtest import LAB, lab, main_without_lab, name, namespaces, processes_in, wait_until

STATE = Path("/run/longhaul-lab")


class RunTest(unittest.TestCase):
    def test_exit_code_is_that_of_the_command(self) -> None:
        self.assertEqual(lab("run", "--", "sh", "-c", "exit 7", which=name("rc"), check=False).returncode, 7)
        self.assertEqual(lab("run", "--", "sh", "-c", "kill -9 $$", which=name("rc"), check=False).returncode, 137)

    def test_the_command_finds_its_lab(self) -> None:
        which = name("own")
        script = f"echo $LONGHAUL_LAB; {' '.join(LAB)} hosts"
        done = lab("run", "--path", "delay=1ms", "--", "sh", "-c", script, which=which)
        rows = done.stdout.splitlines()
        self.assertEqual(rows[0], which)
        self.assertEqual(rows[1], "s0h0 lan=10.77.0.1 p0=10.77.1.1 mgmt=10.78.0.1")

    def test_wrong_plans_are_refused_before_anything_is_made(self) -> None:
        for options, word in (
            (["--hosts", "1,2,3", "--sites", "2"], "3 sites"),
            (["--hosts", "two"], "--hosts"),
            (["--no-wan", "s5h0"], "s5h0"),
            (["--path", "delay=1ms", "--access", "delay=1ms"], "take one"),
            (["--path", "sites=0-4"], "sites=0-4"),
            (["--access", "s9:rate=1gbit"], "s9"),
        ):
            done = lab("run", *options, "--", "true", which=name("bad"), check=False)
            self.assertEqual(done.returncode, 1, options)
            self.assertIn(word, done.stderr)


@unittest.skipUnless(os.geteuid() == 0, "`lab up` needs root")
class UpTest(unittest.TestCase):
    def left(self, which: str) -> list[str]:
        found = [n for n in namespaces() if n.startswith(which + "-")]
        return found + [str(p) for p in STATE.glob(which)]

    def test_down_removes_everything_of_this_lab_and_nothing_of_another(self) -> None:
        one, two = name("one"), name("two")
        lab("up", "--path", "delay=1ms", which=one)
        try:
            lab("up", "--path", "delay=1ms", which=two)
            daemon = subprocess.Popen([*LAB, "--lab", one, "exec", "s0h0", "--", "sleep", "600"])
            other = subprocess.Popen([*LAB, "--lab", two, "exec", "s0h0", "--", "sleep", "600"])
            self.assertTrue(wait_until(lambda: bool(processes_in(one) and processes_in(two))))
            lab("down", which=two)
            self.assertNotEqual(other.wait(60), 0)
            self.assertEqual(self.left(two), [])
            self.assertIsNone(daemon.poll())
            ping = lab("exec", "s0h0", "--", "ping", "-c", "1", "10.77.17.1", which=one)
            self.assertIn("1 received", ping.stdout)
        finally:
            lab("down", which=one)
        self.assertNotEqual(daemon.wait(60), 0)
        self.assertEqual(self.left(one), [])

    def test_a_lab_is_raised_once(self) -> None:
        which = name("twice")
        lab("up", which=which)
        try:
            again = lab("up", which=which, check=False)
            self.assertEqual(again.returncode, 1)
            self.assertIn("up already", again.stderr)
            self.assertTrue(self.left(which), "the failed attempt must not take it down")
        finally:
            lab("down", which=which)
        self.assertIn("not up", lab("down", which=which, check=False).stderr)

    def test_a_failure_half_way_leaves_nothing(self) -> None:
        which = name("half")
        done = lab("up", "--path", "delay=1ms", "--path", "delay=soon", which=which, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("soon", done.stderr)
        self.assertEqual(self.left(which), [])

    def test_an_interrupted_run_ends_the_command_and_the_lab(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            which = name("int")
            deaf = "trap '' INT TERM; echo ready; setsid sleep 600 & while :; do sleep 600; done"
            process = subprocess.Popen(
                [*LAB, "--lab", which, "run", "--", "sh", "-c", deaf], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(number)
            self.assertEqual(process.wait(60), 128 + number)
            self.assertEqual(process.stdout.read(), "", "somebody still holds the pipe")
            process.stdout.close()
            self.assertEqual(self.left(which), [])

    def test_emulators_do_not_outlive_a_killed_run(self) -> None:
        which = name("kill")
        command = [*LAB, "--lab", which, "run", "--path", "delay=1ms", "--", "sleep", "600"]
        process = subprocess.Popen(command, start_new_session=True)
        pids = STATE / which
        self.assertTrue(wait_until(lambda: any(pids.glob("*.pid")) and bool(self._children(process.pid, "sleep"))))
        emulator = int(next(pids.glob("*.pid")).read_text(encoding="ascii"))
        sleeper = self._children(process.pid, "sleep")[0]
        process.kill()
        process.wait()
        self.assertTrue(wait_until(lambda: not Path(f"/proc/{emulator}").exists()))
        os.kill(sleeper, signal.SIGKILL)
        lab("down", which=which)
        self.assertEqual(self.left(which), [])

    @staticmethod
    def _children(pid: int, command: str) -> list[int]:
        command_line = ["ps", "--ppid", str(pid), "-o", "pid=,comm="]
        done = subprocess.run(command_line, text=True, capture_output=True, check=False)
        rows = [row.split() for row in done.stdout.splitlines()]
        return [int(row[0]) for row in rows if row[1] == command]


class UnprivilegedTest(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "is the ordinary case")
    def test_who_cannot_raise_a_lab_is_told_why(self) -> None:
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        no_namespaces = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
        up = subprocess.run([*nobody, *LAB, "up"], text=True, capture_output=True, check=False)
        self.assertEqual(up.returncode, 77, up.stderr)
        self.assertIn("needs root", up.stderr)
        run = [*no_namespaces, *LAB, "--lab", name("no"), "run", "--", "true"]
        done = subprocess.run(run, text=True, capture_output=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertTrue(done.stderr.startswith("lab: "), done.stderr)


if __name__ == "__main__":
    sys.exit(main_without_lab())
