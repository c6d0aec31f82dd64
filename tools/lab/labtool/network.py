"""From a plan to namespaces: sysctls, interfaces, addresses, routes.

The functions ending in `_lines` are pure and write for `ip -batch`.
"""

from labtool import machine
from labtool.addresses import ROUTER, Family
from labtool.plan import CORE, MANAGEMENT, Host, Plan

# TCP's own tuning is bound by the third value: 1 Gbit/s x 200 ms needs 2 x 25 MB.
HOST_SYSCTLS = {
    "net/ipv4/tcp_rmem": "4096 131072 268435456",
    "net/ipv4/tcp_wmem": "4096 65536 268435456",
    "net/ipv4/tcp_no_metrics_save": "1",
}
HOST_SYSCTLS_IPV6 = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
}
ROUTER_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
# No link-local addresses, so no chatter of the routers' own on the long-haul links;
# only bridges get one, without which they could not look for their hosts.
ROUTER_SYSCTLS_IPV6 = HOST_SYSCTLS_IPV6 | {
    "net/ipv6/conf/default/addr_gen_mode": "1",
}
# Once the links are there, which then need not announce that they forward.
FORWARDING_IPV6 = {"net/ipv6/conf/all/forwarding": "1"}
FIRST_TABLE = 100  # of path 0


def create(plan: Plan) -> None:
    """The namespaces, and what must be set before interfaces appear."""
    machine.run("ip", "-batch", "-", text="\n".join(f"netns add {ns}" for ns in plan.namespaces()))
    routers = ROUTER_SYSCTLS | (ROUTER_SYSCTLS_IPV6 if plan.ipv6 else {})
    hosts = HOST_SYSCTLS | (HOST_SYSCTLS_IPV6 if plan.ipv6 else {})
    for router in plan.routers:
        machine.write_sysctls(plan.namespace(router), routers)
    for host in plan.hosts():
        machine.write_sysctls(plan.namespace(host.name), hosts)


def connect(plan: Plan) -> None:
    """Everything but the long-haul links, which are there already."""
    for router in plan.routers if plan.ipv6 else []:
        machine.write_sysctls(plan.namespace(router), FORWARDING_IPV6)
    machine.ip_batch(plan.namespace(MANAGEMENT), management_lines(plan))
    for site in plan.sites:
        namespace = plan.namespace(f"s{site}")
        machine.ip_batch(namespace, site_link_lines(plan, site))
        for family in plan.families:
            machine.ip_batch(namespace, site_address_lines(plan, site, family), family.version)
    for host in plan.hosts():
        namespace = plan.namespace(host.name)
        names = ["lo", MANAGEMENT, *(name for name, _ in plan.interfaces(host))]
        machine.ip_batch(namespace, [f"link set {name} up" for name in names])
        for family in plan.families:
            machine.ip_batch(namespace, host_address_lines(plan, host, family), family.version)
    if plan.access:
        machine.ip_batch(plan.namespace(CORE), ["link set lo up", *queue_lines(plan, CORE)])
        for family in plan.families:
            machine.ip_batch(plan.namespace(CORE), core_route_lines(plan, family), family.version)


def management_lines(plan: Plan) -> list[str]:
    lines = ["link set lo up", f"link add {MANAGEMENT} type bridge mcast_snooping 0", f"link set {MANAGEMENT} up"]
    for host in plan.hosts():
        lines += _port_lines(plan, MANAGEMENT, host, host.name, 1500)
    return lines


def _port_lines(plan: Plan, bridge: str, host: Host, port: str, mtu: int) -> list[str]:
    """A cable from a bridge's port to the host's interface of the bridge's name."""
    far = f"peer name {bridge} mtu {mtu} netns {plan.namespace(host.name)}"
    return [f"link add {port} mtu {mtu} type veth {far}", f"link set {port} master {bridge} up"]


def queue_lines(plan: Plan, node: str) -> list[str]:
    """The kernel's queue before the emulator must never be the one that drops."""
    return [f"link set {link.device(node)} txqueuelen 10000" for link in plan.links if node in link.ends]


def site_link_lines(plan: Plan, site: int) -> list[str]:
    lines = ["link set lo up"]
    for name in ["lan", *(f"p{path}" for path in plan.paths_of(site))]:
        lines += [f"link add {name} mtu {plan.mtu} type bridge mcast_snooping 0"]
        lines += [f"link set {name} addrgenmode eui64"] * plan.ipv6 + [f"link set {name} up"]
        for host in plan.hosts_of(site):
            if any(name == own for own, _ in plan.interfaces(host)):
                lines += _port_lines(plan, name, host, f"{name}.h{host.index}", plan.mtu)
    return lines + queue_lines(plan, f"s{site}")


def _nodad(family: Family) -> str:
    """An IPv6 address is of use at once only if nobody is asked about it first."""
    return " nodad" if family.version == 6 else ""


def site_address_lines(plan: Plan, site: int, family: Family) -> list[str]:
    node, nodad = f"s{site}", _nodad(family)
    lines = []
    for name, plane in [("lan", 0), *((f"p{path}", path + 1) for path in plan.paths_of(site))]:
        lines.append(f"address add {family.host(site, plane, ROUTER)}/{family.subnet_bits} dev {name}{nodad}")
    others = [to for to in plan.sites if to != site]
    hops = plan.next_hops(node)
    lines += [f"route add {family.site(to)} dev {hops[f's{to}']}" for to in others if f"s{to}" in hops]
    for path in plan.paths():
        hops, table = plan.next_hops(node, path), FIRST_TABLE + path
        lines += [f"rule add from {family.subnet(to, path + 1)} lookup {table}" for to in plan.sites]
        for to in others:
            device = hops.get(f"s{to}")
            route = f"{family.site(to)} dev {device}" if device else f"unreachable {family.site(to)}"
            lines.append(f"route add {route} table {table}")
    for host in plan.hosts_of(site):
        if not host.wan:
            own = f"{family.host(site, 0, host.number)}/{family.host_bits}"
            lines += [f"rule add pref 1 {way} {own} unreachable" for way in ("from", "to")]
    return lines


def core_route_lines(plan: Plan, family: Family) -> list[str]:
    hops = plan.next_hops(CORE)
    return [f"route add {family.site(site)} dev {hops[f's{site}']}" for site in plan.sites]


def host_address_lines(plan: Plan, host: Host, family: Family) -> list[str]:
    nodad = _nodad(family)
    management = f"{family.management(host.site, host.number)}/{family.management_bits}"
    lines = [f"address add {management} dev {MANAGEMENT}{nodad}"]
    for name, plane in plan.interfaces(host):
        own = family.host(host.site, plane, host.number)
        lines.append(f"address add {own}/{family.subnet_bits} dev {name}{nodad}")
        if host.wan:
            lines += _remote_route_lines(plan, host, family, name, plane)
    return lines


def _remote_route_lines(plan: Plan, host: Host, family: Family, name: str, plane: int) -> list[str]:
    own = family.host(host.site, plane, host.number)
    via = f"via {family.host(host.site, plane, ROUTER)} dev {name} src {own}"
    others = [to for to in plan.sites if to != host.site]
    if plane == 0:
        return [f"route add {family.site(to)} {via}" for to in others]
    table = FIRST_TABLE + plane - 1
    lines = [f"route add {family.subnet(to, plane)} {via}" for to in others]
    lines += [f"rule add from {own} lookup {table}"]
    lines += [f"route add {family.subnet(host.site, plane)} dev {name} src {own} table {table}"]
    return lines + [f"route add {family.everywhere} {via} table {table}"]
