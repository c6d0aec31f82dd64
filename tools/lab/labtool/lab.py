"""A lab that is up, or is being raised or taken down."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labtool import addresses, machine, network
from labtool.congestion import AllowedList
from labtool.emulator import Emulator
from labtool.errors import LabError
from labtool.plan import MANAGEMENT, Host, Link, Plan

STATE = Path("/run/longhaul-lab")


@dataclass(frozen=True)
class EmulatorOptions:
    fair: bool = False
    spin: str = ""
    seed: int = 1
    with_parent: bool = False

    def arguments(self, index: int) -> list[str]:
        words = ["--seed", str(self.seed + 2 * index)]
        words += ["--fair"] * self.fair + ["--with-parent"] * self.with_parent
        return words + (["--spin", self.spin] if self.spin else [])


class Lab:
    def __init__(self, name: str) -> None:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise LabError(f"--lab {name}: letters, digits, - and _")
        self.name = name
        self._folder = STATE / name
        self._file = self._folder / "lab.json"
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            if not self._file.exists():
                raise LabError(f"lab {self.name!r} is not up")
            self._plan = Plan.from_json(self._file.read_text(encoding="utf-8"))
        return self._plan

    # --- up and down
    def up(self, plan: Plan, options: EmulatorOptions) -> None:
        machine.require_lab()
        STATE.mkdir(parents=True, exist_ok=True)
        try:
            self._folder.mkdir()
        except FileExistsError:
            raise LabError(f"lab {self.name!r} is up already (`lab --lab {self.name} down` ends it)") from None
        try:
            self._file.write_text(plan.to_json(), encoding="utf-8")
            self._plan = plan
            network.create(plan)
            for index, link in enumerate(plan.links):
                self._start_link(index, link, options)
            network.connect(plan)
            AllowedList(STATE).set_up(plan)
        except BaseException:
            self.down()
            raise

    def _start_link(self, index: int, link: Link, options: EmulatorOptions) -> None:
        ends = [f"{self.plan.namespace(node)}:{link.device(node)}" for node in link.ends]
        arguments = [*options.arguments(index), "--mtu", str(self.plan.mtu)]
        self.emulator(link).start([*arguments, *ends, *link.words(list(link.settings))])

    def down(self) -> None:
        """Ends the lab's processes, namespaces, and hold on the machine."""
        if not self._folder.exists():
            raise LabError(f"lab {self.name!r} is not up")
        with _undisturbed():
            if self._file.exists():
                self._dismantle()
            AllowedList(STATE).release(self.name)
            shutil.rmtree(self._folder)

    def _dismantle(self) -> None:
        emulators = [self.emulator(link) for link in self.plan.links]
        for emulator in emulators:
            emulator.quit()
        for emulator in emulators:
            emulator.wait()
        here = machine.namespaces()
        mine = [ns for ns in self.plan.namespaces() if ns in here]
        for sig, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
            _end_processes(mine, sig, patience)
        for namespace in mine:
            machine.run("ip", "netns", "delete", namespace)

    # --- while it is up
    def emulator(self, link: Link) -> Emulator:
        return Emulator(self._folder, link.name)

    def set(self, where: str, words: list[str]) -> None:
        for link in self.plan.choose(where):
            self.emulator(link).ask(" ".join(link.words(words)))

    def stats(self, where: str | None, reset: bool) -> dict[str, Any]:
        if where == MANAGEMENT:
            return {MANAGEMENT: self._management_stats()}
        found = {}
        for link in self.plan.choose(where):
            answer = self.emulator(link).ask("stats reset" if reset else "stats")
            if link.access:
                answer = {{"ab": "up", "ba": "down"}.get(k, k): v for k, v in answer.items()}
            found[link.name] = answer
        return found

    def _management_stats(self) -> dict[str, int]:
        """Bytes each host has sent over the management plane."""
        script = "for f in /sys/class/net/*/statistics/rx_bytes; do echo $f $(cat $f); done"
        namespace = self.plan.namespace(MANAGEMENT)
        rows = machine.run("ip", "netns", "exec", namespace, "sh", "-c", script).splitlines()
        sent = {row.split("/")[4]: int(row.split()[1]) for row in rows}
        return {host.name: sent[host.name] for host in self.plan.hosts()}

    def listing(self) -> dict[str, dict[str, Any]]:
        """Each host's site, and its addresses by interface."""
        found = {}
        for rank, host in enumerate(self.plan.hosts()):
            entry: dict[str, Any] = {"site": f"s{host.site}", "index": rank, "wan": host.wan}
            for family in self.plan.families:
                names = [name for name, _ in self.plan.interfaces(host)]
                entry[f"ipv{family.version}"] = {
                    name: self.plan.address(host, name, family) for name in [*names, MANAGEMENT]
                }
            found[host.name] = entry
        return found

    def namespace(self, text: str) -> str:
        """Of a host (`s0h1` or `0.1`), a site's router (`s0`), the core."""
        known = [*self.plan.routers, *(host.name for host in self.plan.hosts())]
        parts = text.split(".")
        if all(part.isdigit() for part in parts) and len(parts) == 2:
            text = f"s{parts[0]}h{parts[1]}"
        if text not in known:
            raise LabError(f"no such host: {text} (there are: {', '.join(known)})")
        return self.plan.namespace(text)

    def command(self, where: str, command: list[str], bound: bool = False) -> list[str]:
        """What runs `command` there; `bound`: it is killed with the caller."""
        drop = ["--inh-caps=-net_admin", "--bounding-set=-net_admin"] if self.plan.denied_cc else []
        wrap = drop + ["--pdeathsig", "KILL"] * bound
        return ["ip", "netns", "exec", self.namespace(where), *(["setpriv", *wrap] if wrap else []), *command]

    def wan_addresses(self, host: Host) -> list[str]:
        names = [name for name, plane in self.plan.interfaces(host) if plane > 0]
        return [self.plan.address(host, name, addresses.IPV4) for name in names]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds off the signals that would leave half a lab behind."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_processes(namespaces: list[str], sig: signal.Signals, patience: float) -> None:
    """Signals whatever runs inside our namespaces; waits for it to go."""
    deadline = time.monotonic() + patience
    signalled: set[int] = set()
    while True:
        pids = {int(p) for ns in namespaces for p in machine.run("ip", "netns", "pids", ns).split()}
        if not pids or time.monotonic() > deadline:
            return
        for pid in pids - signalled:
            with suppress(ProcessLookupError):
                os.kill(pid, sig)
        signalled |= pids
        time.sleep(0.02)
