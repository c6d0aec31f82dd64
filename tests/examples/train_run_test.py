"""examples/train_two_sites/run, shortened: a lab, two codecs, the table and the files."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT, BUILD = Path(__file__).resolve().parents[2], sys.argv[1]
RUN = ROOT / "examples" / "train_two_sites" / "run"
SHORT = "--data generated --steps 10 --every 5 --batch 32 --hidden 32 --validation 128"


class Run(unittest.TestCase):
    def test_two_codecs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            table, picture = Path(folder) / "curves.csv", Path(folder) / "curves.svg"
            done = subprocess.run(
                [RUN, "--build", BUILD, "--variants", "none,int4+feedback", "--seeds", "1", "--train", SHORT, "--csv", table, "--plot", picture],
                capture_output=True, text=True, timeout=200, check=False,
            )
            if done.returncode == 77:
                print(done.stderr)
                sys.exit(77)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"\| none \| .*\n\| int4\+feedback \| ")
            self.assertIn("[2/2] int4+feedback, seed 1", done.stderr)
            self.assertEqual(len(table.read_text(encoding="utf-8").splitlines()), 5)
            self.assertIn("</svg>", picture.read_text(encoding="utf-8"))

    def test_a_training_that_fails(self) -> None:
        done = subprocess.run(
            [RUN, "--build", BUILD, "--variants", "none", "--seeds", "1", "--train", "--data /nonexistent"],
            capture_output=True, text=True, timeout=200, check=False,
        )
        if done.returncode == 77:
            print(done.stderr)
            sys.exit(77)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
