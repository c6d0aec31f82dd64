"""Tables for people, JSON for programs."""

from wanmatrix.results import Figure, ScenarioResult, figures
from wanmatrix.scenarios import size_text


def time_text(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(result: ScenarioResult) -> str:
    """A row per size, a column per contender: the median, its quartiles, its multiple of T_LB."""
    scenario = result.scenario
    lines = [f"### {scenario.name}) {scenario.title}", ""]
    if result.skipped:
        return "\n".join([*lines, f"Not measured: {result.skipped}", ""])
    names = result.names()
    sizes = sorted({size for _, size in result.series})
    bounded = scenario.rate > 0
    lines += [
        _row(["size", *(["T_LB"] if bounded else []), *names]),
        _row(["---:"] * (1 + bounded + len(names))),
    ]
    for size in sizes:
        bound = scenario.bound(size)
        cells = [size_text(size), *([time_text(bound or 0)] if bounded else [])]
        for name in names:
            series = result.series.get((name, size))
            if series is None:
                cells.append("-")
                continue
            low, high = series.quartiles
            text = f"{time_text(series.median)} ({time_text(low)}-{time_text(high)})"
            if bounded and bound:
                text += f" **{series.median / bound:.2f}**"
            cells.append(text)
        lines.append(_row(cells))
    lines += [f"- {name}: {fault}" for name, fault in result.faults.items()]
    lines += ["", f"Wrong elements: {result.wrong}.", ""]
    return "\n".join(lines)


def figures_table(all_figures: list[Figure]) -> str:
    lines = ["### Figures", "", _row(["", "figure", "measured", "asked", ""]), _row(["---"] * 5)]
    for figure in all_figures:
        verdict = {None: "not measured", True: "met", False: "**missed**"}[figure.ok]
        value = "-" if figure.value is None else f"{figure.value:.3f}{figure.unit}"
        sign = ">=" if figure.at_least else "<="
        lines.append(_row([figure.scenario, figure.text, value, f"{sign} {figure.limit:g}{figure.unit}", verdict]))
    return "\n".join([*lines, ""])


def as_json(machine: dict[str, object], results: list[ScenarioResult]) -> dict[str, object]:
    return {
        "machine": machine,
        "scenarios": [
            {
                "name": result.scenario.name,
                "title": result.scenario.title,
                "lab_arguments": list(result.scenario.lab),
                "skipped": result.skipped or None,
                "wrong": result.wrong,
                "faults": result.faults,
                "lab": result.lab,
                "rows": [
                    {
                        "contender": name,
                        "size": size,
                        "median_s": series.median,
                        "p25_s": series.quartiles[0],
                        "p75_s": series.quartiles[1],
                        "lower_bound_s": result.scenario.bound(size),
                        "times_s": series.times,
                    }
                    for (name, size), series in result.series.items()
                ],
            }
            for result in results
        ],
        "figures": [
            {"scenario": f.scenario, "figure": f.text, "value": f.value, "limit": f.limit, "at_least": f.at_least, "ok": f.ok}
            for result in results
            for f in figures(result)
        ],
    }
