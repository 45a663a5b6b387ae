"""Serve the page of a session at an address, and say where."""

from __future__ import annotations

from typing import Any

from s4token_model.explore import page
from s4token_model.explore.address import DRAWN, HOST, Address, check_address


def check(address: Address, drawn: int) -> None:
    """Raise an error of one line if the page cannot be served; call it before long work."""
    page.import_viser()
    check_address(address)
    if drawn < 1:
        raise ValueError(f"--drawn {drawn}: give a number of points, e.g. {DRAWN}")


def serve(session: Any, address: Address) -> None:
    """Serve the page of a session until Ctrl-C, and say where."""
    served = page.Page(session, address)
    print(f"open {served.address.url} in a browser; Ctrl-C ends it", flush=True)
    if address.host not in (HOST, "localhost", "::1"):
        print(f"everybody who reaches {address.host} can use the page: it asks for no password", flush=True)
    served.run()
