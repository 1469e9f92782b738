# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a name server for the IPv4 addresses of a name and print them, a line each: ask_name_server.py SERVER NAME [PORT]."""

from __future__ import annotations

import socket
import struct
import sys

LIMIT = 60
"""Seconds for an answer."""
HEADER = struct.Struct("!6H")
RECORD = struct.Struct("!2HIH")
ADDRESS = (1, 1)
"""Type A, class IN."""


def after_name(message: bytes, at: int) -> int:
    """Return where the name at `at` ends: at an empty label or at a pointer to the rest of it."""
    while message[at] and message[at] < 0xC0:
        at += message[at] + 1
    return at + (2 if message[at] else 1)


def addresses(message: bytes) -> list[str]:
    """Return the addresses of an answer; one that is an error ends the program."""
    _number, flags, questions, answers, *_others = HEADER.unpack_from(message)
    if flags & 0xF:
        sys.exit(f"the name server answered with error {flags & 0xF}")
    at = HEADER.size
    for _question in range(questions):
        at = after_name(message, at) + 4
    found = []
    for _answer in range(answers):
        at = after_name(message, at)
        kind, network, _lives, length = RECORD.unpack_from(message, at)
        at += RECORD.size + length
        if (kind, network) == ADDRESS:
            found.append(socket.inet_ntoa(message[at - length : at]))
    return found


def ask(server: str, name: str, port: int) -> list[str]:
    """Return the addresses that the name server knows of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        talk.settimeout(LIMIT)
        talk.connect((server, port))
        talk.send(HEADER.pack(1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", *ADDRESS))
        return addresses(talk.recv(4096))


if __name__ == "__main__":
    print("\n".join(ask(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 53)))
