"""The command longhaul from the outside: usage, exit codes, files, reports."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv[1])
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("LONGHAUL_", "NCCL_", "MASTER_"))}
SITES = """
[[site]]
name = "paris"
hosts = ["gpu-a*"]
wan = { up = "10gbit", down = "10gbit" }
[[site]]
name = "tokyo"
hosts = ["*"]
[[path]]
between = ["paris", "tokyo"]
delay = "40ms"
"""


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [PROGRAM, *arguments], env=CLEAN | env, capture_output=True, text=True, timeout=50, check=False
    )


class Usage(unittest.TestCase):
    def test_help(self) -> None:
        for arguments in ([], ["nccl-conf"], ["doctor"], ["plan"], ["info"]):
            done = run(*arguments, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("Usage: longhaul", done.stdout)
            self.assertIn("Exit code:", done.stdout)
            self.assertIn("Examples:", done.stdout)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)

    def test_version(self) -> None:
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^longhaul \d+\.\d+\.\d+\n$")

    def test_refusals(self) -> None:
        for arguments, said in (
            ([], "A command (nccl-conf, doctor, plan or info) is required"),
            (["cure"], "cure"),
            (["nccl-conf"], "--topology is required"),
            (["nccl-conf", "--topology", "/nonexistent.toml"], "/nonexistent.toml"),
            (["nccl-conf", "--topology", "x", "--ranks-per-host", "0"], "a number from 1"),
            (["doctor", "--wan-rate", "fast"], "a rate such as"),
            (["doctor", "--rtt", "80"], "a time such as"),
            (["doctor", "--rtt", "80ms", "--topology", "x"], "excludes"),
            (["doctor", "--topology", "/nonexistent.toml"], "/nonexistent.toml"),
            (["plan", "/nonexistent.toml", "64M"], "/nonexistent.toml"),
            (["plan", "x"], "SIZE is required"),
            (["plan", "x", "64M", "much"], "a size such as 64M"),
            (["plan", "x", "64M", "--hosts", "paris"], "as in paris=4"),
            (["plan", "x", "64M", "--type", "f8"], "bf16"),
            (["plan", "x", "64M", "--mtu", "20"], "576 to 65535"),
            (["plan", "x", "64M", "--mtu", "9000", "--goodput", "1"], "excludes"),
            (["plan", "x", "64M", "--goodput", "1.5"], "at most 1"),
            (["info", "--all"], "--all"),
        ):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stdout, "")


class NcclConf(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.sites = self.folder / "sites.toml"
        self.sites.write_text(SITES)
        self.conf = self.folder / "nccl.conf"

    def test_writes_a_file_once(self) -> None:
        done = run("nccl-conf", "--topology", str(self.sites), "--output", str(self.conf))
        self.assertEqual((done.returncode, done.stdout), (0, f"export NCCL_CONF_FILE={self.conf}\n"))
        text = self.conf.read_text()
        self.assertIn(f"\nLONGHAUL_TOPOLOGY={self.sites}\n", text)
        self.assertIn("\nNCCL_BUFFSIZE=8388608\n", text)
        again = run("nccl-conf", "--topology", str(self.sites), "-o", str(self.conf), "--hosts-per-site", "100")
        self.assertEqual(again.returncode, 2)
        self.assertIn("--force", again.stderr)
        self.assertEqual(self.conf.read_text(), text)
        forced = run("nccl-conf", "--topology", str(self.sites), "-o", str(self.conf), "--hosts-per-site", "100", "--force")
        self.assertEqual(forced.returncode, 0)
        self.assertIn("\nNCCL_BUFFSIZE=4194304\n", self.conf.read_text())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["nccl.conf", "sites.toml"])

    def test_what_cannot_be_replaced_stays_alone(self) -> None:
        self.conf.mkdir()
        for force in ([], ["--force"]):
            done = run("nccl-conf", "--topology", str(self.sites), "-o", str(self.conf), *force)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["nccl.conf", "sites.toml"])

    def test_a_relative_path_becomes_absolute(self) -> None:
        done = run("nccl-conf", "--topology", os.path.relpath(self.sites))
        self.assertIn(f"\nLONGHAUL_TOPOLOGY={self.sites.resolve()}\n", done.stdout)

    def test_one_site(self) -> None:
        self.sites.write_text("[[site]]\nname = 'paris'\n")
        done = run("nccl-conf", "--topology", str(self.sites))
        self.assertEqual(done.returncode, 2)
        self.assertIn("one site", done.stderr)

    def test_a_full_disk_is_no_success(self) -> None:
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(
                [PROGRAM, "nccl-conf", "--topology", self.sites], env=CLEAN, stdout=full, stderr=subprocess.PIPE, check=False
            )
        self.assertEqual(done.returncode, 2)


class Doctor(unittest.TestCase):
    def report(self, *arguments: str, **env: str) -> dict:
        done = run("doctor", "--json", *arguments, **env)
        self.assertEqual(done.stderr, "")
        report = json.loads(done.stdout)
        verdicts = [check["verdict"] for check in report["checks"]]
        self.assertEqual(done.returncode, 1 if "problem" in verdicts else 0)
        self.assertEqual(report["verdict"] == "problem", "problem" in verdicts)
        for check in report["checks"]:
            self.assertEqual(check["verdict"] == "ok", check["change"] == "", check)
        return report

    def verdict(self, report: dict, name: str) -> str:
        return next(check["verdict"] for check in report["checks"] if check["check"] == name)

    def test_the_line_is_as_given(self) -> None:
        report = self.report("--wan-rate", "10gbit", "--rtt", "80ms")
        self.assertEqual(report["wan"]["bdp_bytes"], 100_000_000)
        self.assertEqual(report["wan"]["origin"], "as given")

    def test_the_line_of_the_environments_file(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as sites:
            sites.write(SITES)
            sites.flush()
            report = self.report(LONGHAUL_TOPOLOGY=sites.name)
            self.assertEqual(report["wan"]["bdp_bytes"], 100_000_000)
            self.assertIn(sites.name, report["wan"]["origin"])
            self.assertEqual(self.verdict(report, "site"), "ok")

    def test_finds_what_the_environment_has_wrong(self) -> None:
        report = self.report(LONGHAUL_TOPOLOGY="/nonexistent.toml", NCCL_NET_PLUGIN="/nonexistent/libnccl-net-longhaul.so")
        self.assertEqual(self.verdict(report, "site"), "problem")
        self.assertEqual(self.verdict(report, "NCCL plugin"), "problem")
        self.assertEqual(self.verdict(self.report(LONGHAUL_RANK="x"), "variables"), "problem")

    def test_text(self) -> None:
        done = run("doctor")
        self.assertIn(done.returncode, (0, 1))
        self.assertRegex(done.stdout, r"\n\d+ ok, \d+ advice, \d+ problems?\n")
        self.assertEqual(done.returncode == 1, bool(re.search(r"^problem  ", done.stdout, re.MULTILINE)))


class Plan(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sites = Path(folder.name) / "sites.toml"
        self.sites.write_text(SITES)

    def plan(self, *arguments: str, **env: str) -> dict:
        done = run("plan", str(self.sites), *arguments, "--json", **env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def test_text(self) -> None:
        done = run("plan", str(self.sites), "1M", "64M", "--simulate")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("2 sites, 2 ranks", done.stdout)
        self.assertEqual(done.stdout.count("* hierarchical"), 2)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)

    def test_the_job_is_as_told(self) -> None:
        plan = self.plan("64M", "--hosts", "paris=3", "--hosts", "tokyo=2", "--ranks-per-host", "4", "--type", "bf16")
        self.assertEqual([site["ranks"] for site in plan["sites"]], [12, 8])
        self.assertEqual(plan["type"], "bf16")

    def test_larger_packets_leave_more_of_the_line(self) -> None:
        bounds = [
            self.plan("1G", *flag)["sizes"][0]["bound_seconds"]
            for flag in (["--goodput", "1"], ["--mtu", "9000"], [], ["--mtu", "576"])
        ]
        self.assertEqual(bounds, sorted(bounds))
        self.assertEqual(len(set(bounds)), 4)

    def test_segments_are_as_the_environment_says(self) -> None:
        plan = self.plan("64M", LONGHAUL_SEGMENT_SIZE="1M")
        self.assertEqual(plan["sizes"][0]["schedules"][0]["segments"], 64)
        done = run("plan", str(self.sites), "64M", LONGHAUL_SEGMENT_SIZE="x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("LONGHAUL_SEGMENT_SIZE=x", done.stderr)

    def test_refusals(self) -> None:
        for arguments, said in ((["3"], "3 bytes are no number of f32"), (["4", "--hosts", "rome=1"], "rome")):
            done = run("plan", str(self.sites), *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(said, done.stderr)


class Info(unittest.TestCase):
    def test_options(self) -> None:
        done = run("info", LONGHAUL_SITE="paris")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\nLONGHAUL_SITE=paris +# environment\n")

    def test_what_cannot_be_read(self) -> None:
        done = run("info", LONGHAUL_RANK="x")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("LONGHAUL_RANK=x", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
