"""Tables for people, JSON for programs."""

from labbench.figures import row, size_text, time_text

from wanmatrix.results import ScenarioResult


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
        row(["size", *(["T_LB"] if bounded else []), *names]),
        row(["---:"] * (1 + bounded + len(names))),
    ]
    for size in sizes:
        bound = scenario.bound(size)
        cells = [size_text(size), *([time_text(bound or 0)] if bounded else [])]
        for name in names:
            series = result.series.get((name, size))
            if series is None:
                cells.append("-")
                continue
            cells.append(series.text(bound if bounded else None))
        lines.append(row(cells))
    lines += [f"- {name}: {fault}" for name, fault in result.faults.items()]
    lines += ["", f"Wrong elements: {result.wrong}.", ""]
    return "\n".join(lines)


def as_json(result: ScenarioResult) -> dict[str, object]:
    return {
        "name": result.scenario.name,
        "title": result.scenario.title,
        "lab_arguments": list(result.scenario.lab),
        "skipped": result.skipped or None,
        "wrong": result.wrong,
        "faults": result.faults,
        "lab": result.lab,
        "rows": [
            {"contender": name, "size": size, "lower_bound_s": result.scenario.bound(size)} | series.as_json()
            for (name, size), series in result.series.items()
        ],
    }
