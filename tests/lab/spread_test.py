#!/usr/bin/env python3
"""`lab spread`: the ranks' environment, output, exit code, and end."""

import json
import os
import re
import signal
import subprocess
import sys
import unittest

from labtest import LAB, lab, main_in_lab, processes_in, wait_until

NAME = os.environ.get("LONGHAUL_LAB", "")
RANKS = 4  # of the lab raised below
SHOW = "echo $RANK $WORLD_SIZE $LOCAL_RANK $LONGHAUL_SITE $LONGHAUL_RENDEZVOUS"
# Ranks that are hard to end: deaf to SIGTERM, with a child in a session of its own.
STUBBORN = 'trap "" TERM; setsid sleep 600 & echo started; while :; do sleep 600; done'
MEET = """
import os, socket
host, port = os.environ["LONGHAUL_RENDEZVOUS"].rsplit(":", 1)
n = int(os.environ["WORLD_SIZE"])
if os.environ["RANK"] == "0":
    server = socket.create_server((host, int(port)))
    callers = [server.accept()[0] for _ in range(n - 1)]
    print("met", len(callers))
else:
    for _ in range(600):
        try:
            socket.create_connection((host, int(port)), 30).recv(1)
            break
        except ConnectionRefusedError:
            import time
            time.sleep(0.1)
"""


def lines(text: str) -> list[str]:
    return sorted(text.splitlines())


def start(*command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*LAB, "spread", *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


class SpreadTest(unittest.TestCase):
    def tearDown(self) -> None:
        self.assertTrue(wait_until(lambda: not processes_in(NAME), 5), processes_in(NAME))

    def test_each_rank_knows_itself(self) -> None:
        done = lab("spread", "--", "sh", "-c", SHOW)
        self.assertEqual(done.stdout, "0 4 0 s0 10.78.0.1:29500\n")
        self.assertEqual(
            lines(done.stderr),
            [
                "[1] 1 4 0 s1 10.78.0.1:29500",
                "[2] 2 4 0 s1 10.78.0.1:29500",
                "[3] 3 4 0 s1 10.78.0.1:29500",
            ],
        )

    def test_several_ranks_per_host_are_neighbours(self) -> None:
        done = lab("spread", "--per-host", "2", "--", "sh", "-c", "echo $RANK $WORLD_SIZE $LOCAL_RANK {host}")
        found = [done.stdout.strip(), *(re.sub(r"^\[\d\] ", "", line) for line in lines(done.stderr))]
        hosts = ("s0h0", "s1h0", "s1h1", "s1h2")
        self.assertEqual(found, [f"{r} 8 {r % 2} {hosts[r // 2]}" for r in range(8)])

    def test_placeholders_in_command_and_environment(self) -> None:
        command = ["--env", "WHERE={site}/{host}", "--", "sh", "-c", 'echo {rank} {lan} "<{wan}>" $WHERE {other}']
        done = lab("spread", *command)
        self.assertEqual(done.stdout, "0 10.77.0.1 <10.77.1.1,10.77.2.1> s0/s0h0 {other}\n")
        self.assertEqual(lines(done.stderr)[2], "[3] 3 10.77.16.3 <> s1/s1h2 {other}")

    def test_rendezvous_can_be_elsewhere(self) -> None:
        for said, meant in (("s1h0:99", "10.78.1.1:99"), ("s1h1.lan:99", "10.77.16.2:99"), ("[::1]:99", "[::1]:99")):
            done = lab("spread", "--rendezvous", said, "--", "sh", "-c", "echo $LONGHAUL_RENDEZVOUS")
            self.assertEqual(done.stdout.strip(), meant)

    def test_ranks_without_wan_meet_the_others(self) -> None:
        done = lab("spread", "--", sys.executable, "-c", MEET)
        self.assertEqual(done.stdout, f"met {RANKS - 1}\n")

    def test_exit_code_is_that_of_the_rank_that_failed(self) -> None:
        self.assertEqual(lab("spread", "--", "sh", "-c", "exit $((RANK == 2 ? 42 : 0))", check=False).returncode, 42)
        killed = lab("spread", "--", "sh", "-c", "test $RANK != 1 || kill -9 $$", check=False)
        self.assertEqual(killed.returncode, 128 + 9)

    def test_the_others_end_soon_after_a_failure(self) -> None:
        command = "test $RANK = 3 && exit 5; sleep 600"
        self.assertEqual(lab("spread", "--grace", "0.2", "--", "sh", "-c", command, check=False).returncode, 5)

    def test_the_others_may_finish_within_the_grace(self) -> None:
        command = "test $RANK = 3 && exit 5; sleep 1; echo done"
        done = lab("spread", "--grace", "60", "--", "sh", "-c", command, check=False)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(done.stdout, "done\n")
        self.assertEqual(lines(done.stderr), ["[1] done", "[2] done"])

    def test_interrupted_it_leaves_no_process_behind(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            process = start("--", "sh", "-c", STUBBORN)
            self.assertTrue(wait_until(lambda: sum("sleep 600" in p for p in processes_in(NAME)) >= 2 * RANKS))
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number)
            self.assertEqual(out, "started\n")
            self.assertEqual(processes_in(NAME), [])

    def test_a_daemon_of_a_rank_that_finished_is_gone_too(self) -> None:
        done = lab("spread", "--", "sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & exit 0")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(processes_in(NAME), [])

    def test_killed_it_takes_the_ranks_along(self) -> None:
        process = start("--", "sleep", "600")
        self.assertTrue(wait_until(lambda: len(processes_in(NAME)) == RANKS))
        process.kill()
        process.communicate(timeout=60)

    def test_wrong_use_is_explained(self) -> None:
        for command in ([], ["--per-host", "0", "--", "true"], ["--env", "X", "--", "true"]):
            done = lab("spread", *command, check=False)
            self.assertIn(done.returncode, (1, 2))
            self.assertTrue(done.stderr)

    def test_environment_of_the_caller_is_kept(self) -> None:
        os.environ["LAB_TEST_WORD"] = "kept"
        done = lab("spread", "--env", "OTHER=a=b", "--", "sh", "-c", "echo $LAB_TEST_WORD $OTHER")
        self.assertEqual(done.stdout, "kept a=b\n")
        self.assertEqual(json.loads(lab("hosts", "--json").stdout)["s1h2"]["wan"], False)


if __name__ == "__main__":
    main_in_lab("--hosts", "1,3", "--no-wan", "s1h2", "--path", "delay=5ms", "--path", "delay=1ms")
