"""TCP congestion control of the hosts, and of whom it may be asked for.

A namespace's default must be among what the machine allows everybody
(net.ipv4.tcp_allowed_congestion_control), which only the machine's root can
change. While labs are up, the list is: what it was, plus what they chose, less
what they deny. The last lab to go restores it.
"""

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from labtool import machine
from labtool.errors import LabError, UnsupportedError
from labtool.plan import Plan

SYSCTL = Path("/proc/sys/net/ipv4")
ALLOWED = SYSCTL / "tcp_allowed_congestion_control"
AVAILABLE = SYSCTL / "tcp_available_congestion_control"


def _read(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except FileNotFoundError:  # an old kernel shows it in the first namespace only
        return []


def _require_sense(plan: Plan) -> None:
    default = plan.default_cc or _read(SYSCTL / "tcp_congestion_control")[0]
    if default in plan.denied_cc:
        raise LabError(f"--deny-cc {default}: the hosts need another default, say --cc cubic")


class AllowedList:
    """The machine's list, shared by all labs that hold an interest in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "allowed-congestion-control.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def set_up(self, plan: Plan) -> None:
        """Holds the lab's interest and sets its hosts' default. All of it, or an error."""
        if not plan.default_cc and not plan.denied_cc:
            return
        _require_sense(plan)
        with self.locked():
            self._hold(plan)
            if plan.default_cc:
                self._set_defaults(plan)

    def release(self, lab: str) -> None:
        """Ends the lab's interest, if it has one."""
        if not self._file.exists():
            return
        with self.locked():
            state = self._load()
            if state["holders"].pop(lab, None) is None:
                return
            self._apply(state)
            if state["holders"]:
                self._save(state)
            else:
                self._file.unlink()

    def _load(self) -> dict:
        if self._file.exists():
            return json.loads(self._file.read_text(encoding="ascii"))
        return {"original": _read(ALLOWED), "holders": {}}

    def _save(self, state: dict) -> None:
        self._file.write_text(json.dumps(state), encoding="ascii")

    def _hold(self, plan: Plan) -> None:
        wanted = [plan.default_cc] if plan.default_cc else []
        for name in [*wanted, *plan.denied_cc]:
            _require_available(name)
        state = self._load()
        if not plan.denied_cc and plan.default_cc in state["original"] and not state["holders"]:
            return  # nothing to change
        state["holders"][plan.name] = {"allow": wanted, "deny": list(plan.denied_cc)}
        self._save(state)
        try:
            self._apply(state)
        except OSError as error:
            raise UnsupportedError(_refusal(plan, error)) from None

    def _apply(self, state: dict) -> None:
        holders = state["holders"].values()
        allow = {name for h in holders for name in h["allow"]} - set(state["original"])
        deny = {name for h in holders for name in h["deny"]}
        _write_allowed([name for name in [*state["original"], *sorted(allow)] if name not in deny])

    def _set_defaults(self, plan: Plan) -> None:
        """Another lab may deny what this one has as its default: let it in for the moment."""
        before = _read(ALLOWED)
        if plan.default_cc not in before:
            _write_allowed([*before, plan.default_cc])
        try:
            for host in plan.hosts():
                machine.write_sysctls(
                    plan.namespace(host.name), {"net/ipv4/tcp_congestion_control": plan.default_cc}
                )
        finally:
            if plan.default_cc not in before:
                _write_allowed(before)


def _write_allowed(names: list[str]) -> None:
    if names != _read(ALLOWED):
        with ALLOWED.open("w", encoding="ascii") as file:
            file.write(" ".join(names))


def _require_available(name: str) -> None:
    if name not in _read(AVAILABLE) and os.geteuid() == 0:
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["modprobe", f"tcp_{name}"], capture_output=True, check=False)
    if name not in _read(AVAILABLE):
        raise UnsupportedError(f"{name} cannot be measured here: this kernel has {' '.join(_read(AVAILABLE))}")


def _refusal(plan: Plan, error: OSError) -> str:
    wish = f"--cc {plan.default_cc}" if not plan.denied_cc else f"--deny-cc {','.join(plan.denied_cc)}"
    return (
        f"{wish} cannot be measured here: the machine allows {' '.join(_read(ALLOWED))} "
        f"(net.ipv4.tcp_allowed_congestion_control), and only its root can change that ({error.strerror})"
    )
