"""How a matrix ends: its figures beside what was asked for, the machine, and everything as JSON."""

import argparse
import json
import tempfile
from collections.abc import Sequence
from os import getpid
from pathlib import Path
from typing import Any

from labbench.figures import Figure, figures_table
from labbench.labs import say


def log_file(options: argparse.Namespace, name: str) -> Path:
    """Where what the programs print goes; says so."""
    log = (options.log or Path(tempfile.gettempdir()) / f"{name}.{getpid()}.log").resolve()
    say(f"what the programs print: {log}")
    return log


def conclude(options: argparse.Namespace, machine: dict[str, object], figures: Sequence[Figure], scenarios: list[dict[str, Any]]) -> bool:
    """True if, by --strict, a figure that was missed is a fault."""
    print(figures_table(figures), flush=True)
    facts = ", ".join(f"{key} {value}" for key, value in machine.items() if value)
    print(f"Machine: {facts}.")
    if options.json:
        everything = {"machine": machine, "scenarios": scenarios, "figures": [figure.as_json() for figure in figures]}
        options.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")
    return options.strict and any(figure.ok is False for figure in figures)
