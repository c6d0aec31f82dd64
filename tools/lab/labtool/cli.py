"""The command line of `lab`."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType

from labtool import machine, plan, processes
from labtool.errors import LabError
from labtool.help import DESCRIPTION, EPILOG, PATH_HELP, VERBS
from labtool.lab import EmulatorOptions, Lab
from labtool.spread import Job, spread

NEEDS_COMMAND = ("exec", "run", "spread")


def _subcommand(parsers: "argparse._SubParsersAction", verb: str) -> argparse.ArgumentParser:
    return parsers.add_parser(
        verb,
        help=VERBS[verb].summary,
        description=VERBS[verb].text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_lab_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--sites", type=int, metavar="N", help="sites (2, or as many as --hosts counts)")
    p.add_argument(
        "--hosts", "--hosts-per-site", default="1", metavar="N[,N...]", help="hosts of every site, or of each site (1)"
    )
    p.add_argument("--path", action="append", default=[], metavar="SETTINGS", help=PATH_HELP)
    p.add_argument(
        "--access", action="append", default=[], metavar="[sN:]SETTINGS",
        help="instead of paths: one link per site to a core; for all sites, or for one",
    )
    p.add_argument("--no-wan", default="", metavar="HOST,...", help="hosts that reach their own site only")
    p.add_argument("--cc", default="", metavar="NAME", help="TCP congestion control of the hosts: bbr, cubic, reno")
    p.add_argument(
        "--deny-cc", default="", metavar="NAME,...", help="what programs in the hosts may not ask for, e.g. bbr"
    )
    p.add_argument("--mtu", type=int, default=1500, metavar="BYTES", help="of everything but mgmt (1500)")
    p.add_argument("--seed", type=int, default=1, metavar="N", help="dice of the first link; the others follow (1)")
    p.add_argument("--fair", action="store_true", help="no real-time priority for the emulators")
    p.add_argument("--spin", default="", metavar="TIME", help="emulators wake this early, then poll (30us)")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--lab",
        default=os.environ.get("LONGHAUL_LAB", "lab"),
        metavar="NAME",
        help="which lab, and prefix of its namespaces ($LONGHAUL_LAB, else lab)",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_lab_options(_subcommand(verbs, "up"))
    _subcommand(verbs, "exec").add_argument("host", help="s0h1 (or 0.1), a site's router s0, or core")
    p = _subcommand(verbs, "spread")
    p.add_argument("--per-host", type=int, default=1, metavar="N", help="ranks in each host (1)")
    p.add_argument("--env", action="append", default=[], metavar="K=V", help="a variable for every rank")
    p.add_argument("--rendezvous", default="", metavar="HOST:PORT", help="instead of s0h0's management address")
    p.add_argument("--grace", type=float, default=5.0, metavar="SECONDS", help="for the others after a failure (5)")
    p = _subcommand(verbs, "set")
    p.add_argument("path", help="p0, p0:0-1, or the access link s0")
    p.add_argument("settings", nargs="+", metavar="SETTING")
    p = _subcommand(verbs, "stats")
    p.add_argument("path", nargs="?", help="p0, p0:0-1, the access link s0, or mgmt (all links)")
    p.add_argument("--reset", action="store_true", help="start counting anew afterwards")
    p = _subcommand(verbs, "hosts")
    form = p.add_mutually_exclusive_group()
    form.add_argument("-6", "--ipv6", action="store_true", help="IPv6 addresses")
    form.add_argument("--json", action="store_true", help="everything, as JSON")
    _subcommand(verbs, "down")
    _add_lab_options(_subcommand(verbs, "run"))
    return parser


def _plan(o: argparse.Namespace) -> plan.Plan:
    hosts = plan.parse_hosts(o.hosts, o.sites)
    return plan.Plan(
        name=o.lab,
        hosts_per_site=hosts,
        links=plan.parse_links(o.path, o.access, len(hosts)),
        no_wan=plan.parse_no_wan(o.no_wan, hosts),
        mtu=o.mtu,
        ipv6=machine.has_ipv6(),
        default_cc=o.cc,
        denied_cc=tuple(sorted({name for name in o.deny_cc.split(",") if name})),
    )


def _up(lab: Lab, o: argparse.Namespace) -> int:
    lab.up(_plan(o), EmulatorOptions(o.fair, o.spin, o.seed))
    return 0


def _run(lab: Lab, o: argparse.Namespace) -> int:
    wanted = _plan(o)
    if os.geteuid() != 0:
        machine.require_user_namespace()
        inner = 'mount -t tmpfs none /run && exec "$0" "$@"'
        again = [sys.executable, *sys.argv]
        os.execvp("unshare", ["unshare", "-Urnm", "--kill-child", "sh", "-c", inner, *again])
    lab.up(wanted, EmulatorOptions(o.fair, o.spin, o.seed, with_parent=True))
    try:
        return _run_to_end(o.command, os.environ | {"LONGHAUL_LAB": lab.name})
    finally:
        lab.down()


def _run_to_end(command: list[str], env: dict[str, str]) -> int:
    processes.adopt_orphans()
    try:
        code = subprocess.Popen(command, env=env).wait()
        return 128 - code if code < 0 else code
    finally:
        processes.end_descendants(5.0)  # the emulators too


def _exec(lab: Lab, o: argparse.Namespace) -> int:
    command = lab.command(o.host, o.command)
    os.execvp(command[0], command)


def _spread(lab: Lab, o: argparse.Namespace) -> int:
    wrong = [text for text in o.env if "=" not in text]
    if wrong:
        raise LabError(f"--env {wrong[0]}: as in K=V")
    env = dict(text.split("=", 1) for text in o.env)
    return spread(lab, Job(o.command, o.per_host, env, o.rendezvous, o.grace))


def _set(lab: Lab, o: argparse.Namespace) -> int:
    lab.set(o.path, o.settings)
    return 0


def _stats(lab: Lab, o: argparse.Namespace) -> int:
    print(json.dumps(lab.stats(o.path, o.reset), indent=1))
    return 0


def _hosts(lab: Lab, o: argparse.Namespace) -> int:
    listing = lab.listing()
    if o.json:
        print(json.dumps(listing, indent=1))
        return 0
    for name, entry in listing.items():
        addresses = entry.get("ipv6" if o.ipv6 else "ipv4", {})
        print(name, *(f"{interface}={address}" for interface, address in addresses.items()))
    return 0


def _down(lab: Lab, _: argparse.Namespace) -> int:
    lab.down()
    return 0


ACTIONS: dict[str, Callable[[Lab, argparse.Namespace], int]] = {
    "up": _up,
    "run": _run,
    "exec": _exec,
    "spread": _spread,
    "set": _set,
    "stats": _stats,
    "hosts": _hosts,
    "down": _down,
}


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _on_signal(number: int, _: FrameType | None) -> None:
    """Leaves by way of every `finally`."""
    sys.exit(128 + number)


def main(argv: list[str]) -> int:
    own, command = _split(argv)
    parser = build_parser()
    options = parser.parse_args(own)
    options.command = command
    if (options.verb in NEEDS_COMMAND) != bool(command):
        parser.error(f"{options.verb} needs -- COMMAND" if not command else f"{options.verb} takes no command")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    try:
        return ACTIONS[options.verb](Lab(options.lab), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_code
