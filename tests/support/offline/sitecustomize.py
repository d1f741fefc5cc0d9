"""Refuse every connection that would leave this machine.

`tests/conftest.py` imports this file, and puts its folder on PYTHONPATH: Python imports a module
named `sitecustomize` when it starts, so the processes that tests start are cut off as well.
"""

from __future__ import annotations

import ipaddress
import socket
import sys

__all__ = ["NetworkBlockedError", "refuse"]

# What Python announces before it contacts another machine (docs.python.org/3/library/audit_events).
SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}
LOOKING_UP = {"socket.getaddrinfo", "socket.gethostbyname"}
OWN_NAMES = {None, "", "localhost", socket.gethostname()}


class NetworkBlockedError(RuntimeError):
    """A test tried to reach the network. It is no OSError, so that no offline path hides it."""


def is_local(host: str | bytes | None) -> bool:
    """Whether `host` is this machine: one of its own names, or a loopback address."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in OWN_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse(event: str, arguments: tuple) -> None:
    """Raise NetworkBlockedError for an audit event that contacts another machine."""
    if event in SENDING:
        used, address = arguments
        # A datagram socket that connects sends nothing: Dask asks so for this machine's address.
        silent = event == "socket.connect" and used.type == socket.SOCK_DGRAM
        if used.family in (socket.AF_INET, socket.AF_INET6) and address and not silent:
            host = address[0]
        else:
            return
    elif event in LOOKING_UP:
        host = arguments[0]
    else:
        return
    if not is_local(host):
        raise NetworkBlockedError(f"tests have no network, and this one asked for {host!r}")


sys.addaudithook(refuse)
