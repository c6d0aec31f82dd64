"""What the machine under the lab offers, and running its commands."""

import os
import shutil
import subprocess
from pathlib import Path

from labtool.errors import LabError, UnsupportedError

TUN = Path("/dev/net/tun")


def run(*command: str, text: str | None = None) -> str:
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}\n{text or ''}{done.stderr}".rstrip())
    return done.stdout


def ip_batch(namespace: str, lines: list[str], family: int | None = None) -> None:
    if lines:
        flag = [f"-{family}"] if family else []
        run("ip", *flag, "-n", namespace, "-batch", "-", text="\n".join(lines))


def write_sysctls(namespace: str, values: dict[str, str]) -> None:
    script = "".join(f"echo '{value}' > /proc/sys/{key}\n" for key, value in values.items())
    run("ip", "netns", "exec", namespace, "sh", "-e", text=script)


def namespaces() -> set[str]:
    listed = run("ip", "netns", "list")
    return {line.split()[0] for line in listed.splitlines() if line.strip()}


def has_ipv6() -> bool:
    return Path("/proc/sys/net/ipv6").exists()


def require_lab() -> None:
    """Says why no lab can be raised by this process, or returns."""
    missing = [tool for tool in ("ip", "setpriv") if not shutil.which(tool)]
    if missing:
        raise UnsupportedError(f"not installed: {', '.join(missing)} (iproute2, util-linux)")
    if os.geteuid() != 0:
        raise UnsupportedError("this needs root; `lab run` does without, in a user namespace")
    _require_tun()


def _require_tun() -> None:
    if not TUN.exists():
        raise UnsupportedError(
            f"{TUN} is missing: the links are TUN devices (modprobe tun; in a "
            "container, pass the device in: --device /dev/net/tun)"
        )
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except OSError as error:
        raise UnsupportedError(f"{TUN}: {error.strerror} (chmod 0666 {TUN}, as udev has it, lets every user)") from None


def require_user_namespace() -> None:
    """Says why this user can have no user namespace, or returns."""
    if not shutil.which("unshare"):
        raise UnsupportedError("not installed: unshare (util-linux)")
    probe = subprocess.run(
        ["unshare", "-Urnm", "mount", "-t", "tmpfs", "none", "/run"], text=True, capture_output=True, check=False
    )
    if probe.returncode:
        why = "; ".join(_user_namespace_obstacles()) or "its container or policy forbids it"
        raise UnsupportedError(f"neither root nor a user namespace: {probe.stderr.strip()} ({why})")
    _require_tun()


def _user_namespace_obstacles() -> list[str]:
    known = {
        "kernel/unprivileged_userns_clone": ("0", "1"),
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
        "user/max_user_namespaces": ("0", "15000"),
    }
    found = []
    for key, (bad, good) in known.items():
        file = Path("/proc/sys") / key
        if file.exists() and file.read_text(encoding="ascii").strip() == bad:
            name = key.replace("/", ".")
            found.append(f"{name} is {bad}; root can change it: sysctl -w {name}={good}")
    return found
