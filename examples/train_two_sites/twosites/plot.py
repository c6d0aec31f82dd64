"""Curves as an SVG file that is readable on light and on dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from twosites.curves import PLAIN, Summary

COLOURS = ("#7f8790", "#2f81f7", "#2da44e", "#d1242f", "#bf8700", "#a371f7", "#1b9aaa", "#e16f24")
FEEDBACK = "+feedback"
STYLE = """<style>
text { font: 12px sans-serif; fill: #3d444d; }
.title { font-weight: bold; }
.grid { stroke: #8c959f; stroke-opacity: 0.3; }
.axis { stroke: #8c959f; fill: none; }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9; } }
</style>"""

WIDTH, HEIGHT = 340, 260  # of a panel's inner part
LEFT, TOP, BOTTOM, GAP = 62, 34, 46, 68
LEGEND = 24  # height of its line

Line = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    title: str
    across: str
    line: Callable[[Summary], Line]


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two, evenly spaced."""
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next((factor for factor in (1, 2, 5) if factor * unit >= rough), 10)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def draw(found: Sequence[Summary]) -> str:
    """Loss over steps, loss over time, and the difference to the plain variant where there is one."""
    panels = [
        Panel("validation loss (nats per character)", "steps", lambda each: [(p.step, p.validation_loss) for p in each.curve]),
        Panel("validation loss (nats per character)", "seconds", lambda each: [(p.seconds, p.validation_loss) for p in each.curve]),
    ]
    plain = next((each for each in found if each.variant == PLAIN), None)
    if plain and len(found) > 1:
        losses = {p.step: p.validation_loss for p in plain.curve}
        panels.append(
            Panel(
                f"difference to {PLAIN} (%)", "steps",
                lambda each: [(p.step, 100 * (p.validation_loss / losses[p.step] - 1)) for p in each.curve if p.step in losses],
            )
        )
    width = LEFT + len(panels) * (WIDTH + GAP)
    height = LEGEND + TOP + HEIGHT + BOTTOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">', STYLE]
    looks = _looks([each.variant for each in found])
    parts += _legend(found, looks)
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({LEFT + number * (WIDTH + GAP)},{LEGEND + TOP})">')
        parts += _panel(panel, found, looks)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _looks(variants: Sequence[str]) -> dict[str, str]:
    """A colour for each codec; dashes where the same codec is there with feedback too, and this is it without."""
    colours: dict[str, str] = {}
    looks = {}
    for variant in variants:
        codec = variant.removesuffix(FEEDBACK)
        colour = colours.setdefault(codec, COLOURS[len(colours) % len(COLOURS)])
        dashes = ' stroke-dasharray="5 3"' if codec + FEEDBACK in variants and variant == codec else ""
        looks[variant] = f'stroke="{colour}"{dashes}'
    return looks


def _legend(found: Sequence[Summary], looks: dict[str, str]) -> list[str]:
    parts, x = [], LEFT
    for each in found:
        parts.append(f'<path class="curve" {looks[each.variant]} d="M{x} 16h26"/>')
        parts.append(f'<text x="{x + 32}" y="20">{escape(each.variant)}</text>')
        x += 56 + 7 * len(each.variant)
    return parts


def _panel(panel: Panel, found: Sequence[Summary], looks: dict[str, str]) -> list[str]:
    """The first tenth of the steps would leave no room for the rest: it leaves the panel at the top."""
    lines = {each.variant: panel.line(each) for each in found}
    shown = [y for line in lines.values() for _, y in line[len(line) // 10 :]]
    low, high = min(shown), max(shown)
    margin = 0.05 * (high - low) or 1.0
    low, high = low - margin, high + margin
    end = max(line[-1][0] for line in lines.values())

    def across(x: float) -> float:
        return round(WIDTH * x / end, 1)

    def down(y: float) -> float:
        return round(HEIGHT * (high - y) / (high - low), 1)

    parts = [f'<text class="title" x="0" y="-10">{escape(panel.title)}</text>']
    for tick in nice_ticks(low, high):
        parts.append(f'<path class="grid" d="M0 {down(tick)}H{WIDTH}"/><text x="-8" y="{down(tick) + 4}" text-anchor="end">{tick:.4g}</text>')
    for tick in nice_ticks(0, end):
        parts.append(f'<path class="axis" d="M{across(tick)} {HEIGHT}v5"/><text x="{across(tick)}" y="{HEIGHT + 18}" text-anchor="middle">{tick:.4g}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT + 36}" text-anchor="middle">{panel.across}</text>')
    parts.append(f'<path class="axis" d="M0 0V{HEIGHT}H{WIDTH}"/>')
    for variant, line in lines.items():
        # An SVG element of its own cuts off what is outside.
        steps = " ".join(f"{across(x)},{down(y)}" for x, y in line)
        parts.append(f'<svg width="{WIDTH}" height="{HEIGHT}"><polyline class="curve" {looks[variant]} points="{steps}"/></svg>')
    return parts
