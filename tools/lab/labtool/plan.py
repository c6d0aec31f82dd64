"""What a lab consists of, as a value: hosts, links, names, next hops. Pure."""

import collections
import dataclasses
import itertools
import json
import re
from dataclasses import dataclass, field

from labtool import addresses
from labtool.addresses import Family
from labtool.errors import LabError

CORE = "core"  # the node all access links end at
MANAGEMENT = "mgmt"


@dataclass(frozen=True)
class Host:
    site: int
    index: int
    wan: bool

    @property
    def name(self) -> str:
        return f"s{self.site}h{self.index}"

    @property
    def number(self) -> int:
        """In each of its subnets."""
        return self.index + 1


@dataclass(frozen=True)
class Link:
    """An emulated link between two nodes: two sites, or a site and the core."""

    name: str
    path: int
    ends: tuple[str, str]
    settings: tuple[str, ...]

    @property
    def access(self) -> bool:
        return CORE in self.ends

    def far(self, node: str) -> str:
        return self.ends[1 - self.ends.index(node)]

    def device(self, node: str) -> str:
        """The interface at `node`."""
        return f"p{self.path}.{self.far(node)}"

    def words(self, words: list[str]) -> list[str]:
        """In the emulator's terms: an access link's `up.` is `ab.`."""
        if not self.access:
            return list(words)
        return [_translate(token) for word in words for token in word.split(",") if token]


def _translate(token: str) -> str:
    for said, meant in (("up.", "ab."), ("down.", "ba.")):
        if token.startswith(said):
            return meant + token[len(said) :]
    if token.startswith(("ab.", "ba.")):
        raise LabError(f"{token}: the directions of an access link are up. and down.")
    return token


@dataclass(frozen=True)
class Plan:
    name: str
    hosts_per_site: tuple[int, ...]
    links: tuple[Link, ...]
    no_wan: tuple[str, ...] = ()
    mtu: int = 1500
    ipv6: bool = True
    default_cc: str = ""  # of TCP in the hosts; empty: as the machine has it
    denied_cc: tuple[str, ...] = field(default=())

    # --- nodes and names
    @property
    def sites(self) -> range:
        return range(len(self.hosts_per_site))

    @property
    def families(self) -> list[Family]:
        return [addresses.IPV4] + [addresses.IPV6] * self.ipv6

    @property
    def access(self) -> bool:
        return any(link.access for link in self.links)

    @property
    def routers(self) -> list[str]:
        return [f"s{site}" for site in self.sites] + [CORE] * self.access

    def hosts(self) -> list[Host]:
        """All, site by site: the order of ranks."""
        return [h for site in self.sites for h in self.hosts_of(site)]

    def hosts_of(self, site: int) -> list[Host]:
        found = [Host(site, i, True) for i in range(self.hosts_per_site[site])]
        return [dataclasses.replace(h, wan=h.name not in self.no_wan) for h in found]

    def namespace(self, node: str) -> str:
        return f"{self.name}-{node}"

    def namespaces(self) -> list[str]:
        nodes = [MANAGEMENT, *self.routers, *(h.name for h in self.hosts())]
        return [self.namespace(node) for node in nodes]

    def host(self, name: str) -> Host:
        for host in self.hosts():
            if host.name == name:
                return host
        raise LabError(f"no such host: {name}")

    # --- paths
    def paths(self) -> list[int]:
        return sorted({link.path for link in self.links})

    def paths_of(self, site: int) -> list[int]:
        return sorted({link.path for link in self.links if f"s{site}" in link.ends})

    def interfaces(self, host: Host) -> list[tuple[str, int]]:
        """(name, plane) of each data interface of a host."""
        paths = self.paths_of(host.site) if host.wan else []
        return [("lan", 0)] + [(f"p{path}", path + 1) for path in paths]

    def address(self, host: Host, interface: str, family: Family = addresses.IPV4) -> str:
        if interface == MANAGEMENT:
            return family.management(host.site, host.number)
        for name, plane in self.interfaces(host):
            if name == interface:
                return family.host(host.site, plane, host.number)
        raise LabError(f"{host.name} has no interface {interface}")

    def next_hops(self, node: str, path: int | None = None) -> dict[str, str]:
        """Device towards each other node, by fewest hops, over one path or all."""
        via: dict[str, str] = {node: ""}
        queue = collections.deque([node])
        while queue:
            at = queue.popleft()
            for link in self.links:
                if at not in link.ends or (path is not None and link.path != path):
                    continue
                far = link.far(at)
                if far not in via:
                    via[far] = via[at] or link.device(at)
                    queue.append(far)
        del via[node]
        return via

    def choose(self, text: str | None) -> list[Link]:
        """The links a user means: all, `p0`, `p0:0-1`, or the access link `s0`."""
        found = [l for l in self.links if text in (None, l.name, f"p{l.path}")]
        if not found:
            known = ", ".join(l.name for l in self.links) or "none"
            raise LabError(f"no such path: {text} (there are: {known})")
        return found

    # --- storage
    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> "Plan":
        d = json.loads(text)
        links = [Link(l["name"], l["path"], tuple(l["ends"]), tuple(l["settings"])) for l in d.pop("links")]
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in d.items()}
        return Plan(links=tuple(links), **lists)


# --- from the words of the command line
def parse_hosts(text: str, sites: int | None) -> tuple[int, ...]:
    """`2` for every site, or `2,3`: one number each."""
    try:
        counts = tuple(int(n) for n in text.split(","))
    except ValueError:
        raise LabError(f"--hosts {text}: numbers with commas between") from None
    if len(counts) == 1:
        counts *= sites or 2
    if sites is not None and len(counts) != sites:
        raise LabError(f"--hosts {text}: {len(counts)} sites, but --sites {sites}")
    if not 1 <= len(counts) <= addresses.MAX_SITES:
        raise LabError(f"1 to {addresses.MAX_SITES} sites")
    if not all(1 <= n <= addresses.MAX_HOSTS for n in counts):
        raise LabError(f"1 to {addresses.MAX_HOSTS} hosts per site")
    return counts


def parse_paths(specs: list[str], sites: int) -> tuple[Link, ...]:
    """Each path joins all pairs of sites, or those said: `sites=0-1,sites=1-2`."""
    if len(specs) > addresses.MAX_PATHS:
        raise LabError(f"at most {addresses.MAX_PATHS} paths")
    links = []
    for path, spec in enumerate(specs):
        words = [w for w in spec.split(",") if w]
        settings = tuple(w for w in words if not w.startswith("sites="))
        said = [_parse_pair(w, sites) for w in words if w.startswith("sites=")]
        for a, b in said or itertools.combinations(range(sites), 2):
            links.append(Link(f"p{path}:{a}-{b}", path, (f"s{a}", f"s{b}"), settings))
    return tuple(links)


def _parse_pair(word: str, sites: int) -> tuple[int, int]:
    found = re.fullmatch(r"sites=(\d+)-(\d+)", word)
    pair = sorted(int(n) for n in found.groups()) if found else [0, 0]
    if pair[0] == pair[1] or pair[1] >= sites:
        raise LabError(f"{word}: two of the sites 0 to {sites - 1}, as in sites=0-1")
    return pair[0], pair[1]


def parse_access(specs: list[str], sites: int) -> tuple[Link, ...]:
    """One link per site to the core: settings for all, then `sN:` for one site."""
    settings: list[list[str]] = [[] for _ in range(sites)]
    for spec in specs:
        found = re.fullmatch(r"s(\d+):(.*)", spec)
        if found and int(found[1]) >= sites:
            raise LabError(f"--access {spec}: there is no site s{found[1]}")
        chosen = [int(found[1])] if found else list(range(sites))
        for site in chosen:
            settings[site] += [w for w in (found[2] if found else spec).split(",") if w]
    return tuple(Link(f"s{s}", 0, (f"s{s}", CORE), tuple(settings[s])) for s in range(sites))


def parse_links(paths: list[str], access: list[str], sites: int) -> tuple[Link, ...]:
    if paths and access:
        raise LabError("--path and --access are two models of the WAN: take one")
    return parse_access(access, sites) if access else parse_paths(paths, sites)


def parse_no_wan(text: str, hosts_per_site: tuple[int, ...]) -> tuple[str, ...]:
    names = tuple(sorted({n for n in text.split(",") if n}))
    plan = Plan("", hosts_per_site, ())
    for name in names:
        plan.host(name)
    return names
