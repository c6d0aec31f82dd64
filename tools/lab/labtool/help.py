"""What `lab --help` and `lab VERB --help` say."""

from dataclasses import dataclass

PATH_HELP = "a path that joins all pairs of sites, or those in sites=0-1,...; once per path"

DESCRIPTION = """\
Raises sites of hosts (network namespaces) on this machine, joined by emulated
long-haul links with a rate, a delay, a queue, and faults.

Two models of the WAN:
  --path    each pair of sites has a link of its own; several paths are several
            interfaces of every host (p0, p1, ...), as with several providers
  --access  each site has one link, with an up and a down direction, to a core
            that never limits; what i sends to j passes i's up and j's down
"""

EPILOG = """\
settings (SETTINGS is a list with commas; `set` takes them one by one too)
  rate=1gbit|none      of IP packets, plus overhead= bytes per packet
  delay=25ms           one way, of this link: between two sites with access
                       links it is the sum of one's up and the other's down
  queue=bdp            drop tail: bdp, 2bdp, 50ms, 1mb; bdp is rate x 2 delay of
                       this link, at least 150 kB
  loss=1%  burst=8     of packets; burst: the mean number lost in a row
  ge=P/R/BAD/GOOD      Gilbert-Elliott: to bad, to good, loss in each
  jitter=1ms           standard deviation; keeps the order
  reorder=1% late=1ms  so many packets arrive so much later
  dup=1%               packets delivered twice
  ecn=off|0.1bdp|1ms   mark ECN-capable packets above this queue
  overhead=38          bytes added to each packet (38: Ethernet on the wire)
  quantum=100us        largest piece, in time, a super-packet is delivered in
  up  down             down: black hole; what is under way is lost too
One direction only: ab. or ba. before a path's setting (ab: from the lower
site to the higher), up. or down. before an access link's.

addresses (host H of site S; plane 0 is the LAN, plane K+1 is path K)
  data                 10.77.(16S+plane).(H+1)   fd77:S:PLANE::(H+1)
  management (mgmt)    10.78.S.(H+1)             fd78::S:(H+1)
IPv6 groups are hexadecimal. A packet takes the path its source address belongs
to; without one, that of its destination; LAN addresses take the first. The
management plane joins all hosts, is not emulated, and is for rendezvous only.

examples
  lab up --hosts 2 --path rate=500mbit,delay=25ms --cc bbr
  lab spread -- ./program --bytes 256M
  lab set p0 loss=0.1%
  lab down

  lab run --hosts 2,3 --no-wan s1h2 --access rate=150mbit,delay=12.5ms \\
      --access s0:rate=1gbit -- lab spread -- ./program

exit code: the command's (run, exec, spread); 1: an error; 2: wrong usage;
77: this machine cannot do it, and why is on stderr.

environment: LONGHAUL_LAB names the lab (set for what `run` runs); LAB_LINK is
the emulator, else the newest build/*/tools/lab/lab_link, else lab_link in PATH.
"""


@dataclass(frozen=True)
class Verb:
    summary: str
    text: str


VERBS = {
    "up": Verb(
        "raise a lab",
        "Raises a lab, which stays until `down`. Needs root.\n\n"
        "Settings, addresses and examples: lab --help.",
    ),
    "run": Verb(
        "raise a lab, run a command, take it down",
        "Raises a lab, runs COMMAND with LONGHAUL_LAB set, and takes the lab down,\n"
        "also after Ctrl-C or SIGTERM. Without root it does so in a user namespace of\n"
        "its own. The exit code is the command's.\n\n"
        "usage: lab run [OPTION...] -- COMMAND...",
    ),
    "exec": Verb(
        "run a command in a host",
        "Runs COMMAND in a host, in its network and otherwise as here.\n\n"
        "usage: lab exec HOST -- COMMAND...",
    ),
    "spread": Verb(
        "run a command in all hosts at once, as ranks",
        "Runs COMMAND in every host at once (--per-host N: N times in each), with RANK,\n"
        "WORLD_SIZE, LOCAL_RANK, LONGHAUL_SITE (s0) and LONGHAUL_RENDEZVOUS set. Ranks\n"
        "count site by site, host by host. In COMMAND and --env, {rank} {site} {host}\n"
        "{lan} {wan} stand for the rank's own ({wan}: its path addresses, commas between;\n"
        "empty without WAN).\n\n"
        "What rank 0 prints is passed through; the others' goes to stderr behind `[rank]`.\n"
        "The exit code is that of the first rank that failed, 128 + N if signal N ended\n"
        "it. After the first failure the others have --grace seconds; then, and on\n"
        "Ctrl-C, they get SIGTERM and three seconds later SIGKILL. No process of any rank\n"
        "is left when it returns.\n\n"
        "The rendezvous is port 29500 of s0h0 on the management plane, which every host\n"
        "reaches, with WAN or without. --rendezvous takes another: an address, a host\n"
        "(s1h0: its management address), or a host's interface (s0h0.p0), and a port.\n\n"
        "usage: lab spread [OPTION...] -- COMMAND...",
    ),
    "set": Verb(
        "change links while they run",
        "Changes links while they run: what waits in the queue leaves at the new rate,\n"
        "what is on the line arrives as it was going to.\n\n"
        "  lab set p0 rate=200mbit ab.loss=1%     all links of path 0\n"
        "  lab set p0:0-1 down                    only between sites 0 and 1\n"
        "  lab set s0 up.rate=100mbit             site 0's access link",
    ),
    "stats": Verb(
        "counters, as JSON",
        "Prints counters per link and direction (ab and ba of a path, up and down of an\n"
        "access link): `segs` are packets as on the wire, `frames` what the kernel handed\n"
        "over at once. `late_us` is how much later than due frames were delivered: the\n"
        "emulator's own error. `stats mgmt`: bytes each host sent on the management plane.",
    ),
    "hosts": Verb("names and addresses", "Prints a line per host: its name, and its address per interface."),
    "down": Verb("take the lab down", "Ends the lab's processes (by pid), links and namespaces, and nothing else."),
}
