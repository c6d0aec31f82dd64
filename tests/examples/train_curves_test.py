"""What examples/train_two_sites/run makes of curves: files, means, the table, the plot."""

import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "train_two_sites"))

from twosites import curves, plot  # noqa: E402  (found by the line above)


def run(variant: str, seed: int, end: float, wan_bytes: int) -> curves.Run:
    """Falls from 4 to `end` in ten validations, the last three of which are equal."""
    losses = [4 - (4 - end) * min(i, 7) / 7 for i in range(10)]
    points = [curves.Point(10 * (i + 1), float(i), loss + 0.5, loss, wan_bytes * (i + 1)) for i, loss in enumerate(losses)]
    return curves.Run(variant, seed, points)


RUNS = [
    run("none", 1, 2.0, 8000), run("none", 2, 3.0, 8000), run("int4", 1, 2.2, 1000), run("int4", 2, 3.05, 1000),
    run("int4+feedback", 1, 2.01, 1000), run("int4+feedback", 2, 3.0, 1000),
]


class Curves(unittest.TestCase):
    def test_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "curves.csv"
            curves.write(file, RUNS)
            again = Path(folder) / "again.csv"
            curves.write(again, curves.read(file))
            text = file.read_text(encoding="utf-8")
            self.assertEqual(text, again.read_text(encoding="utf-8"))
        self.assertEqual(text.splitlines()[:2], [",".join(curves.COLUMNS), "none,1,10,0.000,4.50000,4.00000,8000"])
        self.assertEqual(len(text.splitlines()), 1 + 10 * len(RUNS))

    def test_summaries(self) -> None:
        none, int4, feedback = curves.summaries(RUNS)
        self.assertEqual([each.variant for each in (none, int4, feedback)], ["none", "int4", "int4+feedback"])
        self.assertAlmostEqual(int4.final_loss, 2.625)
        self.assertAlmostEqual(int4.difference, 0.05)
        self.assertEqual((int4.lowest, int4.highest), (2.2, 3.05))
        self.assertEqual(none.difference, 0)
        self.assertAlmostEqual(none.bytes_per_step, 800)
        self.assertAlmostEqual(none.curve[-1].validation_loss, 2.5)

    def test_difference_is_of_the_same_seeds(self) -> None:
        """A seed that the plain variant has not been run with says nothing of the codec."""
        _, int4 = curves.summaries([RUNS[0], RUNS[2], RUNS[3]])
        self.assertAlmostEqual(int4.difference, 0.1)

    def test_table(self) -> None:
        lines = curves.table(curves.summaries(RUNS)).splitlines()
        self.assertEqual(len(lines), 5)
        self.assertEqual({line.count("|") for line in lines}, {8})
        self.assertIn("| int4 | 2.6250 | 2.2000-3.0500 | +5.00% |", lines[3])
        self.assertIn("1/8.00", lines[3])
        alone = curves.table(curves.summaries(RUNS[2:4]))
        self.assertIn("| int4 | 2.6250 | 2.2000-3.0500 | - |", alone)


class Plot(unittest.TestCase):
    def drawn(self, runs: list[curves.Run]) -> tuple[list[xml.Element], list[str]]:
        """Its curves, and its words."""
        picture = xml.fromstring(plot.draw(curves.summaries(runs)))
        names = [element.tag.split("}")[1] for element in picture.iter()]
        lines = [element for element, name in zip(picture.iter(), names) if name == "polyline"]
        return lines, [element.text or "" for element, name in zip(picture.iter(), names) if name == "text"]

    def test_three_panels_of_three_curves(self) -> None:
        lines, words = self.drawn(RUNS)
        self.assertEqual(len(lines), 9)
        for word in ("none", "int4", "int4+feedback", "steps", "seconds", "difference to none (%)", "100"):
            self.assertIn(word, words)
        self.assertEqual([len(line.get("points", "").split()) for line in lines], [10] * 9)

    def test_lower_loss_is_drawn_lower(self) -> None:
        lines, _ = self.drawn(RUNS)
        ends = [float(line.get("points", "").split()[-1].split(",")[1]) for line in lines[:3]]
        self.assertLess(ends[1], ends[2])  # y counts downwards
        self.assertLess(ends[2], ends[0])

    def test_without_the_plain_variant_there_is_no_difference(self) -> None:
        lines, words = self.drawn(RUNS[2:])
        self.assertEqual(len(lines), 4)
        self.assertNotIn("difference to none (%)", words)

    def test_curves_can_be_told_apart(self) -> None:
        lines, _ = self.drawn(RUNS)
        looks = {(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}
        self.assertEqual(len(looks), 3)

    def test_ticks(self) -> None:
        self.assertEqual(plot.nice_ticks(0, 100), [0, 20, 40, 60, 80, 100])
        self.assertEqual([round(tick, 6) for tick in plot.nice_ticks(1.93, 2.48)], [2.0, 2.2, 2.4])


if __name__ == "__main__":
    unittest.main()
