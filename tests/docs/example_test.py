#!/usr/bin/env python3
"""example_test.py PROGRAM: the README's example with two ranks on this machine."""
import os
import socket
import subprocess
import sys


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LONGHAUL_")}
    ours.update(LONGHAUL_RENDEZVOUS=f"127.0.0.1:{free_port()}", LONGHAUL_WORLD_SIZE="2")
    ranks = [
        subprocess.Popen([sys.argv[1]], env={**ours, "LONGHAUL_RANK": str(rank), "LONGHAUL_SITE": site},
                         stdout=subprocess.PIPE, text=True)
        for rank, site in enumerate(("paris", "tokyo"))
    ]
    faults = 0
    for rank, process in enumerate(ranks):
        said, _ = process.communicate(timeout=90)
        print(said, end="")
        if process.returncode != 0 or said != f"rank {rank}: kOk, mean 0.5\n":
            print(f"rank {rank} ended with {process.returncode}")
            faults = 1
    return faults


sys.exit(main())
