"""Users whom a proxy in front knows: it says who they are in a header, and only it is believed."""

import ipaddress

from starlette.datastructures import Headers

from footfall_collector.config.identity import ProxyConfig
from footfall_collector.security.identity.identity import Identity, named_in


class TrustedProxy:
    """Reads the headers of a proxy.

    Args:
        config: Which headers, and whose.
    """

    def __init__(self, config: ProxyConfig) -> None:
        self._config, self._networks = config, config.networks()

    def identity(self, headers: Headers, peer: str | None) -> Identity | None:
        """Whom the proxy names; None when it names nobody, or the headers are somebody else's.

        Args:
            headers: Of the request.
            peer: The address of the other end of the connection, and not what a header says of it.

        Raises:
            Unidentified: what it says cannot name anybody (viewer_invalid).
        """
        config = self._config
        if config.name not in headers or not self._trusts(peer):
            return None
        viewer = named_in(headers, config.name)
        if viewer is None:
            return None
        owner = named_in(headers, config.owner) or viewer
        return Identity(viewer, owner, named_in(headers, config.session))

    def _trusts(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
