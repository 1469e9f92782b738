# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running Kea: its control socket, its unit, and its leases that stand in a node's way.

Kea gives no reserved address that another card has leased, for ever when leases have no end. It holds its leases in
memory and only adds lines to its file, so that a line that ends a lease is added while it is stopped.
"""

from __future__ import annotations

import csv
import json
import os
import socket
import time
from collections.abc import Iterable
from typing import Any

from ..apply.commands import is_installed, run_command
from ..apply.files import read_bytes
from ..errors import SiteError
from .leases import Lease

DAEMON = "kea-dhcp4-server.service"
LEASES = "/var/lib/kea/kea-leases4.csv"
LIMIT = 60.0
OLDER = (".completed", ".2", ".1", "")
"""Endings of the lease files in the order in which Kea reads them; the last word on an address holds."""

ADDRESS, CARD, LIFETIME, EXPIRES = 0, 1, 3, 4
"""Columns of a lease file that are looked at."""


def ask(path: str, command: str) -> dict[str, Any]:
    """Return the answer of the daemon to a command; raises OSError when nobody answers on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        talk.settimeout(LIMIT)
        talk.connect(path)
        talk.sendall(json.dumps({"command": command}).encode())
        talk.shutdown(socket.SHUT_WR)
        parts = iter(lambda: talk.recv(65536), b"")
        try:
            answer: dict[str, Any] = json.loads(b"".join(parts))
        except ValueError as error:
            raise OSError(f"{path} answers something else than Kea does") from error
    return answer


def read_at(path: str) -> float | None:
    """Return when the daemon has last read its configuration (seconds since the epoch), or None when it does not run."""
    try:
        answer = ask(path, "status-get") if path else {}
    except OSError:
        return None
    ago = answer.get("arguments", {}).get("reload")
    return time.time() - float(ago) if ago is not None else None


def is_unit_running() -> bool:
    """Return whether systemd runs the daemon."""
    if not os.path.isdir("/run/systemd/system") or not is_installed("systemctl"):
        return False
    command = ["systemctl", "show", "--property=ActiveState", "--value", DAEMON]
    return run_command(command, limit=LIMIT, mend="Start systemd").strip() in ("active", "activating", "reloading")


def reload(path: str) -> None:
    """Have a running daemon read its configuration again, by its socket, else by a signal; raises SiteError with what it refuses."""
    try:
        answer = ask(path, "config-reload") if path else None
    except OSError:
        answer = None
    if answer is not None:
        if answer.get("result"):
            raise SiteError.of("kea-dhcp4", f"does not take its configuration: {answer.get('text')}", f"See journalctl -u {DAEMON}")
    elif is_unit_running():
        command = ["systemctl", "kill", "--signal=HUP", "--kill-who=main", DAEMON]
        run_command(command, limit=LIMIT, mend=f"See journalctl -u {DAEMON}")


def control(verb: str) -> None:
    """Stop or start the daemon; nodes keep their addresses meanwhile."""
    run_command(["systemctl", verb, DAEMON], limit=LIMIT, mend=f"See journalctl -u {DAEMON}")


def leases(path: str, now: float) -> list[Lease]:
    """Return the leases that hold: the last word of the files on each address, unless it ends the lease or has run out."""
    last: dict[str, list[str]] = {}
    for ending in OLDER:
        text = (read_bytes(f"{path}{ending}") or b"").decode("utf-8", "surrogateescape")
        for words in csv.reader(text.splitlines()[1:]):
            if len(words) > EXPIRES and words[EXPIRES].isdigit():  # else Kea is just writing it
                last[words[ADDRESS]] = words
    held = (words for words in last.values() if words[LIFETIME] != "0" and int(words[EXPIRES]) > now)
    return [Lease(",".join(words), words[CARD].lower(), words[ADDRESS]) for words in held]


def drop(path: str, gone: Iterable[Lease]) -> None:
    """End leases, by a line for each: the same with a lifetime of nothing."""
    lines = []
    for lease in gone:
        words = lease.line.split(",")
        words[LIFETIME] = "0"
        lines.append(",".join(words) + "\n")
    with open(path, "a", encoding="utf-8", errors="surrogateescape") as stream:
        stream.writelines(lines)
        stream.flush()
        os.fsync(stream.fileno())
