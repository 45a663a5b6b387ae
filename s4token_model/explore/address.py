"""Where the page is served, and the options that say so."""

from __future__ import annotations

import argparse
import socket
from typing import NamedTuple

HOST, PORT = "127.0.0.1", 8080
DRAWN = 200_000  # points


class Address(NamedTuple):
    """Where the page is served."""

    host: str = HOST
    port: int = PORT

    @property
    def url(self) -> str:
        """The address to open in a browser on this machine."""
        local = self.host in ("0.0.0.0", "::", "")
        return f"http://{'localhost' if local else self.host}:{self.port}"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a page: its address, and how many points it draws."""
    about = "the address to serve at; 0.0.0.0: for everybody (default: %(default)s)"
    command.add_argument("--host", default=HOST, help=about)
    command.add_argument("--port", type=int, default=PORT, help="the port to serve at (default: %(default)s)")
    command.add_argument("--drawn", type=int, default=DRAWN, metavar="N", help="points to draw (default: %(default)s)")


def check_address(address: Address) -> None:
    """Raise ValueError if the page cannot be served at an address: viser would take the next port, or hang."""
    if not 0 <= address.port <= 65535:
        raise ValueError(f"--port {address.port}: give a number from 1 to 65535, or 0 for any that is free")
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address.host, address.port))
    except socket.gaierror as reason:
        raise ValueError(f"--host {address.host}: unknown ({reason.strerror}); use 127.0.0.1") from None
    except PermissionError as reason:
        raise ValueError(f"--port {address.port}: {reason.strerror}; use one above 1023, e.g. {PORT}") from None
    except OSError as reason:
        fix = f"choose another, e.g. --port {address.port + 1}"
        if "in use" not in (reason.strerror or ""):
            fix = "use --host 127.0.0.1, or an address of this machine"
        raise ValueError(f"{address.host}:{address.port} cannot be served: {reason.strerror}; {fix}") from None
