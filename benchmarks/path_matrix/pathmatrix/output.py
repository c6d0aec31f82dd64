"""Tables for people, JSON for programs."""

from labbench.figures import row, size_text, time_text

from pathmatrix.faults import quantile
from pathmatrix.results import ScenarioResult, new_shares, old_shares


def table(result: ScenarioResult) -> str:
    scenario = result.scenario
    lines = [f"### {scenario.name}) {scenario.title}", ""]
    if result.skipped:
        return "\n".join([*lines, f"Not measured: {result.skipped}", ""])
    if scenario.change:
        lines += _changes(result)
    else:
        lines += _faults(result) if scenario.faults else _times(result)
    lines += [f"- {name}: {fault}" for name, fault in result.faults.items()]
    return "\n".join([*lines, "", f"Wrong elements: {result.wrong}.", ""])


def _times(result: ScenarioResult) -> list[str]:
    """A row per size, a column per contender: the median, its quartiles, its multiple of the bound."""
    names = result.names()
    lines = [
        row(["size", "bound", *names, "predicted"]),
        row(["---:"] * (3 + len(names))),
    ]
    for size in sorted({size for _, size in result.series}):
        bound = result.scenario.bound(size)
        cells = [size_text(size), time_text(bound)]
        for name in names:
            series = result.series.get((name, size))
            cells.append(series.text(bound) if series else "-")
        guess = result.predicted.get(size)
        lines.append(row([*cells, time_text(guess) if guess else "-"]))
    for name, paths in result.shares.items():
        shares = ", ".join(f"{path['path']} {path['share']:.0%}" for path in paths if path["rank"] == 0)
        if shares:
            lines.append(f"- {name}: rank 0 sent over {shares}")
    return lines


def _faults(result: ScenarioResult) -> list[str]:
    """A row per kind of fault: how much longer the operation took than what was left of the paths allows."""
    lines = [
        f"Seed {result.seed}; operations of {size_text(result.scenario.sizes[0])}, {time_text(result.scenario.bound(result.scenario.sizes[0]))} "
        "at the least without a fault.",
        "",
        row(["fault", "times", "added p50", "p95", "most", "back p50", "most"]),
        row(["---"] + ["---:"] * 6),
    ]
    for kind in dict.fromkeys(seen.kind for seen in result.broken):
        seen = [fault for fault in result.broken if fault.kind == kind]
        added = [fault.added for fault in seen]
        back = [fault.back for fault in seen if fault.back is not None]
        cells = [_signed(quantile(added, 0.5)), _signed(quantile(added, 0.95)), _signed(max(added))]
        cells += [time_text(quantile(back, 0.5)), time_text(max(back))] if back else ["-", "-"]
        lines.append(row([kind, str(len(seen)), *cells]))
    return [*lines, "", f"Operations that failed: {result.failed}."]


def _changes(result: ScenarioResult) -> list[str]:
    """A row per job."""
    scenario = result.scenario
    size = scenario.sizes[0]
    lines = [
        f"Operations of {size_text(size)}. At the least {time_text(scenario.bound(size))} before the change; then "
        f"{time_text(old_shares(scenario))} by the shares of before, {time_text(new_shares(scenario))} by the best ones.",
        "",
        row(["job", "before", "in the end", "operations until then"]),
        row(["---:"] * 4),
    ]
    for number, seen in enumerate(result.changed, 1):
        lines.append(row([str(number), time_text(seen.usual), time_text(seen.settled), str(seen.settled_after)]))
    return [*lines, "", f"Jobs that failed: {result.failed}."]


def _signed(seconds: float) -> str:
    return f"{seconds * 1e3:+.0f} ms"


def as_json(result: ScenarioResult) -> dict[str, object]:
    return {
        "name": result.scenario.name,
        "title": result.scenario.title,
        "skipped": result.skipped or None,
        "wrong": result.wrong,
        "failed": result.failed,
        "contender_faults": result.faults,
        "seed": result.seed,
        "faults": [seen.as_json() for seen in result.broken],
        "changes": [vars(seen) for seen in result.changed],
        "paths": result.shares,
        "lab": result.lab,
        "rows": [
            {
                "contender": name,
                "size": size,
                "lower_bound_s": result.scenario.bound(size),
                "predicted_s": result.predicted.get(size),
            }
            | series.as_json()
            for (name, size), series in result.series.items()
        ],
    }
