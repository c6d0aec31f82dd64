"""train_two_sites as a user runs it: usage, learning, agreement of the ranks, files, Ctrl-C."""

import array
import csv
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv[1])
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("LONGHAUL_", "NCCL_", "MASTER_"))}
SMALL = ["--data", "generated", "--batch", "64", "--hidden", "64", "--validation", "512", "--rate", "0.01"]
COLUMNS = ["step", "seconds", "training_loss", "validation_loss", "wan_bytes"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(rank: int, ranks: int, port: int, arguments: list[str], env: dict[str, str]) -> subprocess.Popen:
    own = {
        "LONGHAUL_RENDEZVOUS": f"127.0.0.1:{port}", "LONGHAUL_WORLD_SIZE": str(ranks), "LONGHAUL_RANK": str(rank),
        "LONGHAUL_SITE": f"site{rank * 2 // ranks}",
    }
    return subprocess.Popen(
        [PROGRAM, *arguments], env=CLEAN | own | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class Ranks:
    """All ranks of one training; none outlives it."""

    def __init__(self, ranks: int, *arguments: str, each: dict[int, list[str]] | None = None, **env: str) -> None:
        port = free_port()
        self.processes = [
            start(rank, ranks, port, [*arguments, *(each or {}).get(rank, [])], env) for rank in range(ranks)
        ]

    def __enter__(self) -> "Ranks":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()

    def ends(self) -> list[tuple[int, str, str]]:
        """Exit code, output and complaints of each."""
        said = [process.communicate(timeout=100) for process in self.processes]
        return [(process.returncode, *each) for process, each in zip(self.processes, said)]


def rows(text: str) -> list[dict[str, float]]:
    reader = csv.DictReader(text.splitlines())
    assert reader.fieldnames == COLUMNS, reader.fieldnames
    return [{name: float(value) for name, value in row.items()} for row in reader]


def floats(file: Path) -> array.array:
    values = array.array("f")
    values.frombytes(file.read_bytes())
    return values


class Usage(unittest.TestCase):
    def run_alone(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([PROGRAM, *arguments], env=CLEAN, capture_output=True, text=True, timeout=60, check=False)

    def test_help(self) -> None:
        done = self.run_alone("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ("usage: train_two_sites", "--data FOLDER", "--dump-at", "Exit code:", "LONGHAUL_COMPRESS"):
            self.assertIn(word, done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)

    def test_refusals(self) -> None:
        for arguments, said in (
            (["--stepz", "3"], "--stepz"),
            (["--steps"], "--steps needs a value"),
            (["--steps", "0"], "--steps 0"),
            (["--steps", "3x"], "--steps 3x"),
            (["--rate", "-1"], "--rate -1"),
            (["--dump", "/tmp"], "go together"),
            (["--dump", "/tmp", "--dump-at", "1,,2"], "--dump-at 1,,2"),
        ):
            done = self.run_alone(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(said, done.stderr)

    def test_text_that_is_missing(self) -> None:
        done = self.run_alone("--data", "/nonexistent")
        self.assertEqual(done.returncode, 1)
        for word in ("/nonexistent", "--data generated", "base-files"):
            self.assertIn(word, done.stderr)


class Learning(unittest.TestCase):
    def train(self, ranks: int, *arguments: str, **env: str) -> list[dict[str, float]]:
        with Ranks(ranks, *SMALL, *arguments, **env) as job:
            ends = job.ends()
        self.assertEqual([end[0] for end in ends], [0] * ranks, ends)
        self.assertEqual([end[1] for end in ends[1:]], [""] * (ranks - 1), "only rank 0 writes")
        return rows(ends[0][1])

    def test_loss_falls_with_every_codec(self) -> None:
        """That all ranks end with the same weights the program itself makes sure of."""
        sent = {}
        for codec in ("none", "int4"):
            curve = self.train(4, "--steps", "90", "--every", "30", LONGHAUL_COMPRESS=codec, LONGHAUL_ERROR_FEEDBACK="1")
            self.assertEqual([row["step"] for row in curve], [30, 60, 90])
            self.assertLess(curve[0]["validation_loss"], math.log(28), "better than a guess of 27 letters and blanks")
            self.assertLess(curve[2]["validation_loss"], curve[0]["validation_loss"] - 0.2)
            self.assertLess(curve[2]["training_loss"], curve[0]["training_loss"] - 0.2)
            for name in ("seconds", "wan_bytes"):
                self.assertEqual([row[name] for row in curve], sorted(row[name] for row in curve))
            sent[codec] = curve[2]["wan_bytes"]
        self.assertGreater(sent["int4"], 0)
        self.assertGreater(sent["none"], 3 * sent["int4"])

    def test_seeds(self) -> None:
        """A seed names a training; another one is another training."""
        one, same, other = (self.train(2, "--steps", "5", "--every", "5", "--seed", seed) for seed in "778")
        self.assertEqual(one[0]["validation_loss"], same[0]["validation_loss"])
        self.assertNotEqual(one[0]["validation_loss"], other[0]["validation_loss"])

    def test_last_step_is_validated(self) -> None:
        self.assertEqual([row["step"] for row in self.train(1, "--steps", "5", "--every", "3")], [3, 5])

    def test_gradients(self) -> None:
        """Four ranks' gradients have the mean that one rank's, of the whole batch, has."""
        with tempfile.TemporaryDirectory() as folder:
            for ranks in (4, 1):
                place = Path(folder) / str(ranks)
                place.mkdir()
                self.train(ranks, "--steps", "2", "--dump", str(place), "--dump-at", "1,2")
                self.assertEqual(
                    sorted(file.name for file in place.iterdir()),
                    sorted(f"grad_rank{rank}_step{step}.f32" for rank in range(ranks) for step in (1, 2)),
                )
            parts = [floats(Path(folder) / "4" / f"grad_rank{rank}_step1.f32") for rank in range(4)]
            whole = floats(Path(folder) / "1" / "grad_rank0_step1.f32")
        self.assertGreater(len(whole), 10_000)
        self.assertEqual([len(part) for part in parts], [len(whole)] * 4)
        scale = max(map(abs, whole))
        for mean, expected in zip(map(sum, zip(*parts)), whole):
            self.assertAlmostEqual(mean / 4 / scale, expected / scale, places=4)


class Together(unittest.TestCase):
    def test_ranks_that_differ(self) -> None:
        with Ranks(2, *SMALL, "--steps", "3", each={1: ["--seed", "2"]}) as job:
            for code, _, complaints in job.ends():
                self.assertEqual(code, 1)
                self.assertIn("different text, or different options", complaints)

    def test_batch_that_cannot_be_shared(self) -> None:
        with Ranks(3, *SMALL) as job:
            for code, _, complaints in job.ends():
                self.assertEqual(code, 1)
                self.assertIn("multiples of the number of ranks, 3", complaints)

    def test_interrupt_of_one_rank(self) -> None:
        """All end at the same step, in order, and the table is whole."""
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "curve.csv"
            with Ranks(2, *SMALL, "--steps", "1000000", "--every", "5", "--csv", str(table)) as job:
                deadline = time.monotonic() + 60
                while not table.exists() or table.read_text(encoding="utf-8").count("\n") < 2:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.01)
                job.processes[1].send_signal(signal.SIGINT)
                ends = job.ends()
            self.assertEqual([end[0] for end in ends], [0, 0], ends)
            self.assertGreaterEqual(len(rows(table.read_text(encoding="utf-8"))), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
