"""The emulator processes: finding the program, starting one, talking to it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from labtool.errors import LabError


def program() -> str:
    """$LAB_LINK, else the newest under build/, else on PATH."""
    said = os.environ.get("LAB_LINK")
    if said:
        if not os.access(said, os.X_OK):
            raise LabError(f"LAB_LINK={said}: no such program")
        return said
    root = Path(__file__).resolve().parents[3]
    built = [p for p in root.glob("build/*/tools/lab/lab_link") if os.access(p, os.X_OK)]
    if built:
        return str(max(built, key=lambda p: p.stat().st_mtime))
    installed = shutil.which("lab_link")
    if not installed:
        raise LabError("no lab_link: build it (ninja -C build/dev lab_link) or set LAB_LINK")
    return installed


class Emulator:
    """One link's process, known by its control socket and log."""

    def __init__(self, folder: Path, name: str) -> None:
        self.socket = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"

    def start(self, arguments: list[str]) -> None:
        command = [program(), "--ctl", str(self.socket), *arguments]
        with self.log.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid_file.write_text(str(process.pid), encoding="ascii")
        for _ in range(1000):
            if process.poll() is not None:
                raise LabError(self.log.read_text(encoding="utf-8").strip())
            try:
                self.ask("stats")
                return
            except OSError:
                time.sleep(0.01)
        raise LabError(f"{' '.join(command)}: does not answer")

    def ask(self, words: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(10)
            s.connect(str(self.socket))
            s.send(words.encode())
            answer = json.loads(s.recv(1 << 16))
        if "error" in answer:
            raise LabError(answer["error"])
        return answer

    def quit(self) -> None:
        """Asks it to end; see `wait`."""
        with contextlib.suppress(OSError, ValueError, LabError):
            self.ask("quit")

    def wait(self) -> None:
        """Returns when it is gone: by itself, or killed after a second."""
        if not self.pid_file.exists():
            return
        pid = int(self.pid_file.read_text(encoding="ascii"))
        for attempt in range(1000):
            if not _is_emulator(pid):
                return
            if attempt == 100:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _is_emulator(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)  # ours, if this process started it
    except ChildProcessError:
        pass
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "lab_link"
    except OSError:
        return False
