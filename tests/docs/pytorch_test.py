#!/usr/bin/env python3
"""pytorch_test.py FOLDER LONGHAUL: what can be known of examples/pytorch without PyTorch."""
import os
import py_compile
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FOLDER, LONGHAUL = (Path(path) for path in sys.argv[1:3])
# Stands for torchrun: says how it was called.
FAKE = '#!/bin/sh\nprintf "%s\\n" "$@"\nenv\n'
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("LONGHAUL_", "NCCL_", "LD_"))}


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_compiles(self):
        py_compile.compile(str(FOLDER / "train_ddp.py"), cfile=str(self.folder / "out"), doraise=True)

    def test_finds_the_network(self):
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(FOLDER))
        import train_ddp

        log = "a0:1:1 [0] NCCL INFO Using network Socket\na0:1:2 [0] NCCL INFO Using network Longhaul\n"
        self.assertEqual(train_ddp.network_in(log), "Longhaul")
        self.assertIsNone(train_ddp.network_in("NCCL INFO cudaDriverVersion 12020"))
        log_file = self.folder / "log"
        log_file.write_text(log)
        self.assertEqual(train_ddp.network_of(str(log_file)), "Longhaul")
        self.assertIn("not known", train_ddp.network_of(str(self.folder / "none")))


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.conf = self.folder / "nccl.conf"
        made = subprocess.run(
            [LONGHAUL, "nccl-conf", "--topology", FOLDER / "sites.toml", "-o", self.conf], env=CLEAN, check=True,
            capture_output=True, text=True,
        )
        self.assertEqual(made.stdout, f"export NCCL_CONF_FILE={self.conf}\n")
        job = self.folder / "job.env"
        job.write_text((FOLDER / "job.env").read_text() + f"NCCL_CONF={self.conf}\n")
        fake = self.folder / "torchrun"
        fake.write_text(FAKE)
        fake.chmod(0o755)
        self.env = CLEAN | {"PATH": f"{self.folder}:{os.environ['PATH']}", "JOB_ENV": str(job)}

    def run_host(self, *arguments, **env):
        return subprocess.run(
            [FOLDER / "run", *arguments], env=self.env | env, capture_output=True, text=True, timeout=50, check=False
        )

    def test_calls_torchrun(self):
        done = self.run_host("2", "--steps", "5")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        words = "--nnodes 4 --node-rank 2 --nproc-per-node 8 --master-addr a0.example.net --master-port 29500".split()
        self.assertEqual(lines[: len(words)], words)
        self.assertEqual(lines[len(words) :][:3], [str(FOLDER / "train_ddp.py"), "--steps", "5"])
        for setting in (
            "NCCL_NET_PLUGIN=longhaul",
            "NCCL_COLLNET_ENABLE=1",
            f"LONGHAUL_TOPOLOGY={(FOLDER / 'sites.toml').resolve()}",
            "NCCL_SOCKET_IFNAME=eth0",
            "LD_LIBRARY_PATH=/opt/longhaul/lib",
        ):
            self.assertIn(setting, lines)

    def test_the_environment_wins(self):
        self.assertIn("NCCL_BUFFSIZE=1", self.run_host("0", NCCL_BUFFSIZE="1").stdout.splitlines())

    def test_refusals(self):
        for arguments in ([], ["first"], ["4"]):
            done = self.run_host(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn("NODE_RANK", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
