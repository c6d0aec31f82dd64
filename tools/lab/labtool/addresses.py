"""The address scheme. Plane 0 is a site's LAN, plane K + 1 is path K."""

from dataclasses import dataclass

MAX_SITES = 16
MAX_HOSTS = 253  # per site
MAX_PATHS = 15
ROUTER = 254  # the site router's number in each of its subnets


@dataclass(frozen=True)
class Family:
    """How one IP version writes the scheme; the same interface for both."""

    version: int

    def host(self, site: int, plane: int, number: int) -> str:
        if self.version == 4:
            return f"10.77.{16 * site + plane}.{number}"
        return f"fd77:{site:x}:{plane:x}::{number:x}"

    def subnet(self, site: int, plane: int) -> str:
        """A site's share of a plane: the hosts on one link."""
        if self.version == 4:
            return f"10.77.{16 * site + plane}.0/24"
        return f"fd77:{site:x}:{plane:x}::/64"

    def site(self, site: int) -> str:
        """All planes of a site."""
        if self.version == 4:
            return f"10.77.{16 * site}.0/20"
        return f"fd77:{site:x}::/32"

    @property
    def everywhere(self) -> str:
        return "10.77.0.0/16" if self.version == 4 else "fd77::/16"

    @property
    def subnet_bits(self) -> int:
        return 24 if self.version == 4 else 64

    @property
    def host_bits(self) -> int:
        return 32 if self.version == 4 else 128

    def management(self, site: int, number: int) -> str:
        if self.version == 4:
            return f"10.78.{site}.{number}"
        return f"fd78::{site:x}:{number:x}"

    @property
    def management_bits(self) -> int:
        return 16 if self.version == 4 else 64


IPV4 = Family(4)
IPV6 = Family(6)
