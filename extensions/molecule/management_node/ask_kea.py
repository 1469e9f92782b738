# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the subnets that a running Kea serves, and the reservations in each, a line each: ask_kea.py SOCKET."""

from __future__ import annotations

import json
import socket
import sys

LIMIT = 120
"""Seconds for an answer."""


def ask(path: str, command: str) -> dict:
    """Return the answer to a command."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(LIMIT)
        talk.connect(path)
        talk.sendall(json.dumps({"command": command}).encode())
        return json.loads(b"".join(iter(lambda: talk.recv(65536), b"")))["arguments"]


if __name__ == "__main__":
    for subnet in ask(sys.argv[1], "config-get")["Dhcp4"]["subnet4"]:
        held = [f"{subnet['subnet']} {each['hostname']} {each['ip-address']}" for each in subnet["reservations"]]
        print("\n".join(held or [subnet["subnet"]]))
