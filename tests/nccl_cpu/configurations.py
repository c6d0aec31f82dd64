"""The ways in which NCCL is run: who the ranks are, which network, which algorithm, which collectives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Configuration:
    name: str
    arguments: list[str]  # of nccl_collectives
    env: dict[str, str] = field(default_factory=dict)
    quick: bool = False  # also run by --quick
    expect: str = ""  # the program has to fail, and to say this

    def over(self, env: dict[str, str]) -> Configuration:
        """The same, over a network that these variables choose."""
        return Configuration(self.name, self.arguments, env | self.env, self.quick, self.expect)


RING_SIMPLE = {"NCCL_ALGO": "Ring", "NCCL_PROTO": "Simple"}
RING_LL = {"NCCL_ALGO": "Ring", "NCCL_PROTO": "LL"}
TREE = {"NCCL_ALGO": "ring;allreduce:tree"}
SMALL_BUFFERS = {"NCCL_MIN_NCHANNELS": "16", "NCCL_MAX_NCHANNELS": "16", "NCCL_BUFFSIZE": "65536"}
SHARED_MEMORY = {"NCCL_SHM_DISABLE": "0"}
# NCCL stages no data through host memory if plugin and GPU can do without.
DEVICE_POINTERS = {"NCCL_NET_GDR_LEVEL": "SYS", "NCCL_CPU_GDR": "1", "TESTNET_PTR_CUDA": "1"}
COLLNET = {"NCCL_COLLNET_ENABLE": "1", "NCCL_COLLNET_NODE_THRESHOLD": "0"}
CHAIN = COLLNET | {"NCCL_ALGO": "ring;allreduce:collnetchain"}
DIRECT = COLLNET | {
    "NCCL_ALGO": "ring;allreduce:collnetdirect;allgather:collnetdirect;reducescatter:collnetdirect",
    # NCCL has CollNetDirect only where it sees an NVSwitch: this shows it one.
    "NCCL_TOPO_FILE": str(HERE / "nvswitch.xml"),
}
# A network that reduces may know 32- and 64-bit types only, and a communicator that was split has no CollNet: where
# CollNet is forced, `types` and `multi` are left out.
COLLNET_CASES = "allreduce,ops,allgather,reducescatter,broadcast,reduce,sendrecv,alltoall,mixed,register,abort"


def ranks(n: int, *more: str) -> list[str]:
    return ["-n", str(n), *more]


def any_network() -> list[Configuration]:
    """What has to work over every network."""
    found = []
    for n in (2, 3, 4):
        quick = n < 4
        found += [
            Configuration(f"{n} ranks, NCCL's choice", ranks(n), quick=quick),
            Configuration(f"{n} ranks, Ring Simple", ranks(n), RING_SIMPLE),
            Configuration(f"{n} ranks, Ring LL", ranks(n), RING_LL, quick=n == 2),
            Configuration(f"{n} ranks, Tree", ranks(n), TREE, quick=n == 3),
        ]
    return found + [
        Configuration("4 ranks on 2 nodes", ranks(4, "-g", "2")),
        Configuration("4 ranks on 2 nodes, shared memory", ranks(4, "-g", "2"), SHARED_MEMORY, quick=True),
        Configuration("3 ranks, 16 channels, small buffers", ranks(3), SMALL_BUFFERS, quick=True),
    ]


def plugin_only() -> list[Configuration]:
    """What only a plugin can do: device pointers, and reducing in the network."""
    found = []
    for n in (2, 3, 4):
        quick = n == 3
        cases = ("-t", COLLNET_CASES)
        found += [
            Configuration(f"{n} ranks, device pointers", ranks(n), DEVICE_POINTERS, quick),
            Configuration(f"{n} ranks, CollNetChain", ranks(n, *cases), CHAIN, quick),
            Configuration(f"{n} ranks, CollNetDirect", ranks(n, *cases), DIRECT, quick),
            Configuration(
                f"{n} ranks, CollNetDirect, device pointers", ranks(n, *cases), DIRECT | DEVICE_POINTERS
            ),
        ]
    return found + [
        Configuration(
            "4 ranks on 2 nodes, CollNetChain", ranks(4, "-g", "2", "-t", COLLNET_CASES), CHAIN | SHARED_MEMORY, True
        ),
    ]


def socket() -> list[Configuration]:
    """NCCL's own Socket transport."""
    alone = Configuration("1 rank", ranks(1, "-t", "allreduce"), quick=True)
    return [alone, *any_network()]


def plugin(path: str) -> list[Configuration]:
    """A plugin: its file, or its name where the loader finds it."""
    return [c.over({"NCCL_NET_PLUGIN": path}) for c in any_network() + plugin_only()]


def faults() -> list[Configuration]:
    """That the harness notices what goes wrong: testnet does it wrong."""
    return [
        Configuration(
            "a bit is flipped on the way",
            ranks(2, "-t", "allreduce"),
            {"NCCL_NET_PLUGIN": "testnet", "TESTNET_CORRUPT": "30"},
            quick=True,
            expect=r"allreduce: element \d+ of \d+ is [\d.e+-]+, not \d",
        ),
        Configuration(
            "a bit is flipped, timed",
            ranks(2, "--time", "--bytes", "64K"),
            {"NCCL_NET_PLUGIN": "testnet", "TESTNET_CORRUPT": "15"},
            quick=True,
            expect=r"timed collective: element \d+ of \d+ is [\d.e+-]+, not \d",
        ),
        Configuration(
            "the plugin fails under way",
            ranks(3, "-t", "fault"),
            {"NCCL_NET_PLUGIN": "testnet", "TESTNET_FAIL": "40"},
            quick=True,
        ),
        Configuration(
            "the plugin does not fail",
            ranks(2, "-t", "fault", "-T", "5"),
            {"NCCL_NET_PLUGIN": "testnet"},
            expect="not done after 5 s",
        ),
        Configuration(
            "CollNet is asked for and is not there",
            ranks(2, "-t", "allreduce"),
            CHAIN,
            quick=True,
            expect="ncclAllReduce",
        ),
    ]
