#!/usr/bin/env python3
"""NCCL over the plugin between two sites of a lab, every element of every result compared; NCCL's sockets beside it."""

import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from labtest import lab, main_in_lab  # noqa: E402

RUN = str(Path(__file__).resolve().parent / "run")
TOPOLOGY = str(Path(__file__).resolve().parent / "nvswitch.xml")
PLUGIN = os.environ.get("LONGHAUL_PLUGIN", "")
EVERYTHING = "allreduce,ops,allgather,reducescatter,broadcast,reduce,sendrecv,alltoall,mixed"
# NCCL_NET: no other network will do.
OURS = {"NCCL_NET_PLUGIN": PLUGIN, "NCCL_NET": "Longhaul"}
IN_NETWORK = {"NCCL_COLLNET_ENABLE": "1", "NCCL_COLLNET_NODE_THRESHOLD": "0"}


def nccl(cases: str, **variables: str) -> str:
    """What rank 0 prints; fails if any rank finds a wrong element."""
    said = []
    for name, value in ({"NCCL_SOCKET_IFNAME": "lan", "LONGHAUL_INTERFACES": "lan"} | variables).items():
        said += ["--env", f"{name}={value}"]
    return lab("spread", *said, "--", RUN, "nccl_collectives", "-m", "65537", "-t", cases).stdout


class NcclTest(unittest.TestCase):
    def run_cases(self, cases: str, **variables: str) -> None:
        said = nccl(cases, **variables)
        self.assertEqual([line.split()[0] for line in said.splitlines()], ["init", *cases.split(",")])

    def test_its_own_sockets(self) -> None:
        self.run_cases("allreduce,sendrecv")

    def test_everything_over_pipes_and_sockets_of_the_plugin(self) -> None:
        self.run_cases(EVERYTHING, **OURS)

    def test_all_reduce_by_tree(self) -> None:
        self.run_cases("allreduce", **OURS, NCCL_ALGO="ring;allreduce:tree")

    def test_all_reduce_by_the_network(self) -> None:
        chain = IN_NETWORK | OURS | {"NCCL_ALGO": "ring;allreduce:collnetchain"}
        self.run_cases("allreduce,ops", **chain)

    def test_all_gather_and_reduce_scatter_by_the_network(self) -> None:
        direct = IN_NETWORK | {
            **OURS,
            "NCCL_TOPO_FILE": TOPOLOGY,
            "NCCL_ALGO": "ring;allreduce:collnetdirect;allgather:collnetdirect;reducescatter:collnetdirect",
        }
        self.run_cases("allreduce,allgather,reducescatter", **direct)


if __name__ == "__main__":
    main_in_lab("--sites", "2", "--hosts", "2", "--path", "rate=500mbit,delay=5ms")
