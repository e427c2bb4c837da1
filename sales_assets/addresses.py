"""Addresses of this machine that the UI and the service listen on."""

import socket

from sales_assets.errors import SalesError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_free(host: str, port: int) -> None:
    """Refuse an address before anything is started that could not have it.

    Raises:
        SalesError: Nothing can be bound to it.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SalesError(
            f"{in_url(host)}:{port} cannot be bound: {error.strerror}; name another --port or "
            "--host."
        ) from None


def in_url(host: str) -> str:
    """Return a host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host
