#!/usr/bin/env python3
"""nccl_collectives and run from the outside: usage, cases, timing, a job whose ranks are started one by one."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = sys.argv.pop()
LAUNCHER = ("NCCL_", "LONGHAUL_", "MASTER_", "RANK", "WORLD_SIZE")
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER)} | {"NCCL_CPU_BUILD": BUILD}


def start(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen:
    command = [HERE / "run", "nccl_collectives", *arguments]
    return subprocess.Popen(command, env=CLEAN | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = start(*arguments, env=env)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def free_port() -> int:
    """One that was free a moment ago, below those that outgoing connections get."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Usage(unittest.TestCase):
    def test_mistakes(self) -> None:
        for wrong in (
            ["-n", "0"],
            ["-t", "nothing"],
            ["-r", "2", "-n", "2"],
            ["-g", "0"],
            ["--time", "--op", "gather"],
            ["--time", "--type", "f128"],
            ["--time", "--bytes", "much"],
            ["--time", "--bytes", "4", "-n", "3"],
            ["--time", "--iters", "0"],
            ["--time", "--type", "bf16", "-n", "24"],
        ):
            with self.subTest(wrong):
                code, output, errors = run(*wrong)
                self.assertEqual((code, output), (2, ""), errors)
                self.assertIn(wrong[-2] if len(wrong) == 2 else "-", errors)

    def test_help(self) -> None:
        code, output, _ = run("--help")
        self.assertEqual(code, 0)
        self.assertIn("LONGHAUL_RENDEZVOUS", output)

    def test_run_needs_a_build(self) -> None:
        with tempfile.TemporaryDirectory() as empty:
            code, _, errors = run(env={"NCCL_CPU_BUILD": empty})
        self.assertEqual(code, 1)
        self.assertIn("build the target ncclcpu", errors)

    def test_another_program(self) -> None:
        done = subprocess.run([HERE / "run", "env"], env=CLEAN, capture_output=True, text=True, check=True)
        variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        self.assertEqual(variables["LD_PRELOAD"], f"{BUILD}/libncclcpu.so")
        self.assertEqual(variables["NCCL_SOCKET_IFNAME"], "lo")
        done = subprocess.run(
            [HERE / "run", "env"],
            env=CLEAN | {"NCCL_MAX_NCHANNELS": "7", "RANK": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertIn("NCCL_MAX_NCHANNELS=7\n", done.stdout)
        self.assertNotIn("NCCL_SOCKET_IFNAME", done.stdout)


class Cases(unittest.TestCase):
    def test_chosen_ones(self) -> None:
        code, output, errors = run("-n", "2", "-t", "allreduce,broadcast", "-m", "4096", "-i", "2")
        self.assertEqual(code, 0, errors)
        names = [line.split()[0] for line in output.splitlines()]
        self.assertEqual(names, ["init", *["allreduce", "broadcast"] * 2, "nccl_collectives:"])

    def test_quiet(self) -> None:
        self.assertEqual(run("-n", "2", "-t", "abort", "-q"), (0, "", ""))


class Timing(unittest.TestCase):
    def check(self, line: str, **expected: object) -> None:
        found = json.loads(line)
        for key, value in expected.items():
            self.assertEqual(found[key], value, key)
        seconds = found["seconds"]
        self.assertEqual((found["min"], found["max"]), (min(seconds), max(seconds)))
        self.assertEqual(found["median"], sorted(seconds)[len(seconds) // 2])
        self.assertGreater(found["min"], 0)

    def test_every_collective(self) -> None:
        for op in ("allreduce", "allgather", "reducescatter", "broadcast", "sendrecv"):
            with self.subTest(op):
                code, output, errors = run("-n", "3", "--time", "--op", op, "--bytes", "3M", "--iters", "3")
                self.assertEqual(code, 0, errors)
                self.check(output, op=op, type="f32", bytes=3 << 20, ranks=3)
                self.assertEqual(len(json.loads(output)["seconds"]), 3)

    def test_whole_elements_per_rank(self) -> None:
        code, output, errors = run("-n", "3", "--time", "--type", "bf16", "--bytes", "1000", "--iters", "1")
        self.assertEqual(code, 0, errors)
        self.check(output, type="bf16", bytes=996)


class JobFromOutside(unittest.TestCase):
    def job(self, *arguments: str, **env: str) -> list[tuple[int, str, str]]:
        ranks = [start(*arguments, env=env | {"RANK": str(r), "WORLD_SIZE": "3"}) for r in range(3)]
        found = [(*process.communicate(timeout=120), process.returncode) for process in ranks]
        return [(code, output, errors) for output, errors, code in found]

    def test_ranks_meet_where_the_launcher_says(self) -> None:
        port = str(free_port())
        for where in (
            {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
            {"LONGHAUL_RENDEZVOUS": f"127.0.0.1:{port}"},
            {"NCCL_COMM_ID": f"127.0.0.1:{port}", "LONGHAUL_RENDEZVOUS": "10.0.0.1:1"},
        ):
            with self.subTest(where):
                ranks = self.job("--time", "--bytes", "64K", NCCL_SOCKET_IFNAME="lo", **where)
                self.assertEqual([code for code, _, _ in ranks], [0, 0, 0], ranks)
                self.assertEqual(json.loads(ranks[0][1])["ranks"], 3)
                self.assertEqual([output for _, output, _ in ranks[1:]], ["", ""])

    def test_nowhere_to_meet(self) -> None:
        for code, _, errors in self.job("-t", "allreduce"):
            self.assertEqual(code, 1)
            self.assertIn("NCCL_COMM_ID", errors)


if __name__ == "__main__":
    unittest.main()
