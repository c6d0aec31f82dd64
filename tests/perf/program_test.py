"""longhaul_perf and longhaul_floor from the outside: usage, table, exit codes, report, ranks."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PERF, FLOOR = (Path(path) for path in sys.argv[1:3])
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("LONGHAUL_", "NCCL_", "MASTER_"))}
ROW = re.compile(
    r"^ {0,12}(\d+) +(\d+) +(\w+) +(\w+) +-1  ([ .\de+]{7})  ([ .\de+]{6})  ([ .\de+]{6})  ([ .\de+]{6}|   N/A)"
    r"  ([ .\de+]{7})  ([ .\de+]{6})  ([ .\de+]{6})  ([ .\de+]{6}|   N/A)$"
)
HEADER = (
    "#\n"
    "#                                                              out-of-place                       in-place          \n"
    "#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong \n"
    "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)         \n"
)


def run(program: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [program, *arguments], env=CLEAN | (env or {}), capture_output=True, text=True, timeout=120, check=False
    )


def rows(output: str) -> list[re.Match]:
    found = [line for line in output.splitlines() if line and not line.startswith("#")]
    matches = [ROW.match(line) for line in found]
    assert all(matches), [line for line, match in zip(found, matches) if not match]
    return [match for match in matches if match]


class Table(unittest.TestCase):
    def check(self, *arguments: str, ranks: int) -> str:
        done = run(PERF, "--ranks", str(ranks), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def test_two_ranks(self) -> None:
        output = self.check("-b", "4", "-e", "1M", "-f", "64", "-n", "3", ranks=2)
        self.assertIn(HEADER, output)
        self.assertEqual([int(row[1]) for row in rows(output)], [4, 256, 16384, 1048576])
        for row in rows(output):
            self.assertEqual((row[3], row[4], row[8].strip(), row[12].strip()), ("float", "sum", "0", "0"))
        self.assertRegex(
            output,
            r"# Out of bounds values : 0 OK\n# Avg bus bandwidth    : [\d.e-]+ \n#\n"
            r"# Collective test concluded: all_reduce_perf\n#\n\n$",
        )
        self.assertEqual(len(re.findall(r"^#  Rank +\d Group  0 Pid +\d+ on ", output, re.MULTILINE)), 2)

    def test_four_ranks_in_two_sites(self) -> None:
        output = self.check("--sites", "2", "-b", "1", "-e", "300001", "-i", "150000", "-n", "2", "-d", "uint8", ranks=4)
        self.assertEqual([int(row[2]) for row in rows(output)], [1, 150001, 300001])
        self.assertEqual(re.findall(r"site (s\d)", output), ["s0", "s0", "s1", "s1"])

    def test_each_algorithm(self) -> None:
        for algorithm in ("ring", "hierarchical"):
            self.check("--sites", "2", "--algo", algorithm, "-b", "100K", "-e", "100K", "-n", "2", ranks=3)

    def test_all_types_and_operators(self) -> None:
        output = self.check("-d", "all", "-o", "all", "-b", "4096", "-e", "4096", "-n", "1", ranks=2)
        self.assertEqual(len(rows(output)), 50)
        self.assertTrue(all(row[8].strip() == "0" and row[12].strip() == "0" for row in rows(output)))

    def test_unchecked(self) -> None:
        output = self.check("-c", "0", "-b", "1K", "-e", "1K", "-n", "2", ranks=2)
        self.assertEqual(rows(output)[0][8], "   N/A")

    def test_barrier(self) -> None:
        output = self.check("--collective", "barrier", "-n", "3", ranks=2)
        self.assertEqual([(row[1], row[3]) for row in rows(output)], [("0", "none")])
        self.assertIn("concluded: barrier_perf", output)

    def test_own_columns_stand_behind(self) -> None:
        output = self.check("--sites", "2", "--wan", "--bound", "1gbit,1ms", "-b", "1M", "-e", "1M", "-n", "2", ranks=2)
        (line,) = [line for line in output.splitlines() if line and not line.startswith("#")]
        fields = line.split()
        self.assertEqual(len(fields), 13 + 2 + 5)
        self.assertGreaterEqual(int(fields[15]), 2 << 20)  # both ranks sent what they hold
        self.assertIn("#wrong   oop/LB   ip/LB        wan_tx", output)

    def test_each_iteration_is_told_and_verified(self) -> None:
        output = self.check("--sites", "2", "--each", "-b", "100K", "-e", "100K", "-n", "3", ranks=2)
        told = re.findall(r"^# each (\d+) began ([\d.]+)\n# each \1 ended ([\d.]+) wrong 0$", output, re.MULTILINE)
        self.assertEqual([int(number) for number, _, _ in told], list(range(6)))
        times = [float(time) for _, began, ended in told for time in (began, ended)]
        self.assertEqual(times, sorted(times))

    def test_other_modes(self) -> None:
        for mode in ("0", "1", "2"):
            self.check("-z", mode, "-m", "2", "-b", "1K", "-e", "1K", "-n", "2", "-a", mode, ranks=2)
        output = self.check("-I", "1", "-S", "1", "-u", "3", "-N", "2", "-b", "1K", "-e", "1K", "-n", "4", ranks=2)
        self.assertEqual(output.count("float"), 2)

    def test_second_name(self) -> None:
        self.assertEqual(os.readlink(PERF.parent / "all_reduce_perf"), "longhaul_perf")


class Report(unittest.TestCase):
    def test_json(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.json"
            done = run(PERF, "--ranks", "2", "-b", "1K", "-e", "2K", "-f", "2", "-n", "5", "--json", str(file))
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(file.read_text(encoding="utf-8"))
        self.assertEqual([line["size"] for line in report["results"]], [1024, 2048])
        half = report["results"][0]["in_place"]
        self.assertEqual(len(half["times_us"]), 5)
        self.assertLessEqual(half["min_us"], half["p25_us"])
        self.assertLessEqual(half["p25_us"], half["median_us"])
        self.assertLessEqual(half["median_us"], half["p75_us"])
        self.assertLessEqual(half["p75_us"], half["max_us"])
        self.assertAlmostEqual(half["time"], sum(half["times_us"]) / 5, places=3)
        self.assertEqual((half["nwrong"], half["checked"]), (0, 2 * 2 * 256))
        self.assertEqual(report["out_of_bounds"], {"count": 0, "okay": True})
        self.assertEqual(report["config"]["common_start"], "clock")

    def test_a_report_that_cannot_be_written_fails(self) -> None:
        done = run(PERF, "--ranks", "2", "-b", "8", "-e", "8", "-n", "1", "--json", "/nowhere/report.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/report.json", done.stderr)


class Usage(unittest.TestCase):
    def refused(self, *arguments: str, says: str, env: dict[str, str] | None = None) -> None:
        done = run(PERF, *arguments, env=env)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(says, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_help(self) -> None:
        done = run(PERF, "--help")
        self.assertEqual(done.returncode, 0)
        for flag in ("--minbytes", "--stepfactor", "--json", "--ranks", "--bound", "--algo", "NCCL_TESTS_MIN_BW"):
            self.assertIn(flag, done.stdout)

    def test_refusals_name_the_accepted_form(self) -> None:
        self.refused("-b", "lots", says="'lots' is not accepted: give a size such as 8, 64K")
        self.refused("-d", "float3", says="give int8, uint8")
        self.refused("-o", "sun", says="give sum, prod, max, min, avg or all")
        self.refused("-n", "0", says="give an integer from 1")
        self.refused("-g", "8", says="give 1")
        self.refused("-G", "4", says="give 0")
        self.refused("--algo", "rings", says="give auto, ring, hierarchical or sharded")
        self.refused("--bound", "25ms", says="such as 500mbit,25ms")
        self.refused("-b", "2K", "-e", "1K", says="--minbytes 2K is above --maxbytes 1K")
        self.refused("--ranks", "2", "--sites", "3", says="no more than --ranks 2")
        self.refused("--nonsense", says="--nonsense")
        self.refused("--ranks", "2", says="NCCL_TESTS_MIN_BW", env={"NCCL_TESTS_MIN_BW": "fast"})

    def test_a_library_option_that_is_wrong(self) -> None:
        done = run(PERF, "--ranks", "2", env={"LONGHAUL_TIMEOUT": "soon"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("LONGHAUL_TIMEOUT", done.stderr)

    def test_too_slow(self) -> None:
        arguments = ("--ranks", "2", "-b", "8", "-e", "8", "-n", "1")
        self.assertEqual(run(PERF, *arguments, env={"NCCL_TESTS_MIN_BW": "1e9"}).returncode, 4)
        self.assertEqual(run(PERF, *arguments, env={"NCCL_TESTS_MIN_BW": "1e-9"}).returncode, 0)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def await_true(condition, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Ranks(unittest.TestCase):
    def start(self) -> subprocess.Popen:
        return subprocess.Popen(
            [PERF, "--ranks", "2", "-b", "64K", "-e", "64K", "-n", "100000"],
            env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )

    def ended(self, pids: list[int]) -> bool:
        return await_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))

    def test_interrupted(self) -> None:
        with self.start() as process:
            self.assertTrue(await_true(lambda: len(children(process.pid)) == 2))
            ranks = children(process.pid)
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 128 + signal.SIGINT)
            self.assertTrue(self.ended(ranks))

    def test_a_rank_that_dies_ends_the_job(self) -> None:
        with self.start() as process:
            self.assertTrue(await_true(lambda: len(children(process.pid)) == 2))
            ranks = children(process.pid)
            process.stdout.readline()
            os.kill(ranks[1], signal.SIGKILL)
            self.assertEqual(process.wait(60), 128 + signal.SIGKILL)
            self.assertTrue(self.ended(ranks))


class Floor(unittest.TestCase):
    def test_two_sites(self) -> None:
        done = run(FLOOR, "--ranks", "4", "--sites", "2", "-b", "1M", "-e", "1M", "-n", "3", "--cc", "system")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(HEADER, done.stdout)
        (row,) = rows(done.stdout)
        self.assertEqual((row[1], row[8], row[12]), ("1048576", "   N/A", "   N/A"))

    def test_uneven_sites_are_refused(self) -> None:
        done = run(FLOOR, "--ranks", "3", "--sites", "2", "-b", "1K", "-e", "1K", "--cc", "system")
        self.assertEqual(done.returncode, 1)
        self.assertIn("two sites with equally many ranks", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
