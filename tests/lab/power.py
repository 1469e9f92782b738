# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of the lab's nodes, as a site has it: `python power.py SOCKET NODE ACTION` switches one.

The lab itself holds the other end of the socket, where QEMU is started and ended; what goes wrong is told to the caller.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

LIMIT = 60.0


class Switched(Protocol):
    """What has power: a node of the lab."""

    @property
    def is_on(self) -> bool:
        """Whether it is on."""

    def start(self) -> None:
        """Switch it on."""

    def stop(self) -> None:
        """Switch it off."""


def switch(node: Switched, action: str) -> str:
    """Do what is asked for; return what is to be told."""
    if action not in ("on", "off", "reset", "boot", "status"):
        return f"error: no action is called {action}"
    if action in ("off", "reset", "boot") and node.is_on:
        node.stop()
    if action in ("reset", "boot", "on") and not node.is_on:
        node.start()
    return "on" if node.is_on else "off"


class Power:
    """Answers at a socket until `stop`."""

    def __init__(self, path: Path, nodes: Mapping[str, Switched]) -> None:
        self.path = path
        self._nodes = nodes
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def command(self) -> list[str]:
        """Return the command that a site's `power_command` is."""
        return [sys.executable, str(Path(__file__).resolve()), str(self.path), "{node}", "{action}"]

    def stop(self) -> None:
        """Answer no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT)
        self._listening.close()
        self.path.unlink(missing_ok=True)

    def _answer(self) -> None:
        while True:
            try:
                caller, _address = self._listening.accept()
            except OSError:
                return
            with caller, contextlib.suppress(OSError):
                name, _blank, action = caller.makefile(encoding="utf-8").readline().strip().partition(" ")
                try:
                    said = switch(self._nodes[name], action) if name in self._nodes else f"error: no node is called {name}"
                except Exception as error:
                    said = f"error: {error}"
                caller.sendall(f"{said}\n".encode())


def main() -> int:
    """Ask for one node's power; return the exit status."""
    path, name, action = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(LIMIT)
        asking.connect(path)
        asking.sendall(f"{name} {action}\n".encode())
        said = asking.makefile(encoding="utf-8").readline().strip()
    print(f"{name}: {said}")
    return 0 if said in ("on", "off") else 1


if __name__ == "__main__":
    sys.exit(main())
