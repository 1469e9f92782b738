# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for single cells: names, addresses, paths and lists, each returning what is wrong and the mend."""

from __future__ import annotations

import re
import socket

from .columns import CURLY_QUOTES, Problem, control_character

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
HARDWARE_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?:(?:[:-][0-9A-Fa-f]{2}){2}|(?:[:-][0-9A-Fa-f]{2}){14})?")
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
MODE = re.compile(r"[0-7]{3,4}")
LONGEST_NAME, LONGEST_PATH = 255, 3800
"""Bytes of a name, and of a path so that a node has room before it for where it keeps its content (PATH_MAX is 4096)."""
DISK_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,11}")
DEVICE = re.compile(r"/dev(?:/[A-Za-z0-9._:+@=-]+)+")


def computed(text: str) -> bool:
    """Tell whether a node attribute is a pattern that gives another value per node (|pattern|value| or /pattern/value/)."""
    return len(text) > 1 and (text[0] == text[-1] == "|" or re.fullmatch(r"/[^/]*/[^/]*/", text) is not None)


def quoted_by_hand(text: str) -> Problem | None:
    """Refuse a cell that begins or ends with a curly quote, as text copied from a document has them."""
    if text and (text[0] in CURLY_QUOTES or text[-1] in CURLY_QUOTES):
        return f"{text!r} has curly quotes", 'Write the value without quotes, or with plain " in CSV'
    return None


def name(text: str) -> Problem | None:
    """A name of a node, group, image or network: it becomes a file name and a kernel word."""
    if NAME.fullmatch(text):
        return None
    if text.startswith("#"):
        return f"{text!r} is no name", "A table has no comment lines: remove the line, or use the comments column"
    return f"{text!r} is no name", "Use letters, digits and . _ + - and begin with a letter or digit"


def names(text: str) -> Problem | None:
    """A comma list of names."""
    for part in text.split(","):
        problem = name(part)
        if problem is not None:
            return problem
    return None


def number(text: str) -> Problem | None:
    """A priority: digits with an optional fraction."""
    return None if NUMBER.fullmatch(text) else (f"{text!r} is no number", "Use digits with an optional fraction, such as 1 or 4.7")


def mode(text: str) -> Problem | None:
    """An octal file mode."""
    return None if MODE.fullmatch(text) else (f"{text!r} is no file mode", "Use three or four octal digits, such as 755")


def is_address(text: str) -> bool:
    """Tell whether `text` is one IPv4 or IPv6 address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


def address(text: str) -> Problem | None:
    """A node's address, or a pattern that gives one."""
    if computed(text) or is_address(text):
        return None
    return f"{text!r} is no IP address", "Write one IPv4 or IPv6 address"


def hardware_address(text: str) -> Problem | None:
    """One or more hardware addresses: MAC[!hostname][|MAC!hostname...]."""
    if computed(text):
        return None
    for part in text.split("|"):
        found, mark, host = part.partition("!")
        if not HARDWARE_ADDRESS.fullmatch(found):
            return f"{found!r} is no hardware address", "Write six pairs of hex digits, such as 52:54:00:77:00:11"
        if mark and host != "*NOIP*" and not NAME.fullmatch(host):
            return f"{host!r} after ! is no host name", "Write MAC!hostname, or MAC!*NOIP* for a card without an address"
    return None


def machine_uuid(text: str) -> Problem | None:
    """The UUID of a machine, as its firmware says it."""
    if computed(text) or UUID.fullmatch(text):
        return None
    return f"{text!r} is no UUID", "Write it as dmidecode says it, such as 4c4c4544-0052-3510-8051-b7c04f4d3232"


def network(text: str) -> Problem | None:
    """The address of a network."""
    return None if is_address(text) else (f"{text!r} is no network address", "Write the network's first address, such as 10.77.0.0")


def netmask(text: str) -> Problem | None:
    """A dotted mask with contiguous bits, or /LENGTH."""
    if text.startswith("/") and text[1:].isdigit() and len(text) < 5 and int(text[1:]) <= 128:
        return None
    try:
        bits = int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    except (OSError, ValueError):
        bits = 0
    inverted = bits ^ 0xFFFFFFFF
    if bits and not inverted & (inverted + 1):
        return None
    return f"{text!r} is no network mask", "Write a mask such as 255.255.255.0, or a length such as /24"


def address_ranges(text: str) -> Problem | None:
    """Ranges FIRST-LAST of addresses, separated by commas."""
    for part in text.split(","):
        ends = part.split("-")
        if len(ends) != 2 or not all(is_address(end) for end in ends):
            return f"{part!r} is no range of addresses", "Write FIRST-LAST, such as 10.77.0.100-10.77.0.200"
    return None


def too_long(text: str) -> bool:
    """Tell whether a path, or a name in it, has more bytes than a file system takes."""
    content = text.encode("utf-8", "surrogateescape")
    return len(content) > LONGEST_PATH or max(map(len, content.split(b"/"))) > LONGEST_NAME


def absolute_path(text: str) -> Problem | None:
    """A path from the root without .. and control characters."""
    problem = quoted_by_hand(text)
    if problem is not None:
        return problem
    if control_character(text) is not None:
        return f"it holds the control character {control_character(text)}", "Remove it: a path is one line of printable text"
    if not text.startswith("/"):
        return f"{text!r} is no absolute path", "Begin it with /"
    if ".." in text.split("/"):
        return f"{text!r} has '..' as a part", "Write the path that is meant without .. parts"
    if len(text) >= LONGEST_NAME // 4 and too_long(text):
        what = f"{text[:60]!r}... is longer than a path can be"
        return what, f"Write at most {LONGEST_NAME} bytes between slashes, and {LONGEST_PATH} in all"
    return None


def location(text: str) -> Problem | None:
    """[SERVER:]DIRECTORY where either may hold variables such as $node or $noderes.nfsserver."""
    problem = quoted_by_hand(text)
    if problem is not None:
        return problem
    if control_character(text) is not None:
        return f"it holds the control character {control_character(text)}", "Remove it: a directory is one line of text"
    if "#CMD=" in text:
        return (
            "it asks for a command to be run (#CMD=)",
            "Commands from tables are never run: write a path, or a variable such as $nodepos.room",
        )
    server, directory = split_location(text)
    if ".." in directory.split("/"):
        return f"{text!r} has '..' as a part", "Write the directory that is meant without .. parts"
    if not directory.startswith(("/", "$")):
        return f"{text!r} is no [server:]/directory", "Write SERVER:/DIRECTORY, or /DIRECTORY on the node's own NFS server"
    if re.search(r"[\s/]", server):
        return f"{server!r} is no server", "Write a host name, an address or a variable before the colon"
    return None


def split_location(text: str) -> tuple[str, str]:
    """Split [SERVER:]DIRECTORY; the server is '' when there is none. An IPv6 server stands in brackets."""
    if text.startswith("["):
        server, found, directory = text.partition("]:")
        return (server[1:], directory) if found else ("", text)
    if text.startswith("/"):
        return "", text
    server, found, directory = text.partition(":")
    return (server, directory) if found else ("", text)


def mount_options(text: str) -> Problem | None:
    """A comma list of mount options without blanks and empty items."""
    if re.search(r"\s", text) or "" in text.split(","):
        return f"{text!r} is no list of mount options", "Separate options by single commas, without blanks"
    return None


def root_options(text: str) -> Problem | None:
    """Mount options of the root: a list without blanks or empty items, and never one that makes it writable (behaviour.md e.4)."""
    if re.search(r"\s", text) or "" in text.split(","):
        return f"{text!r} is no list of mount options", "Separate options by single commas, without blanks and empty items"
    for word in text.split(","):
        if word.lower().split("=")[0] in ("rw", "defaults"):
            return f"{word!r} would make the root writable", "Remove it: a statelite root is always mounted read-only"
    return None


def writable_options(text: str) -> Problem | None:
    """Mount options of what nodes write."""
    problem = mount_options(text)
    if problem is None and "ro" in text.split(","):
        return "'ro' would let no node write", "Remove it"
    return problem


def disk_label(text: str) -> Problem | None:
    """The label of a file system, as long as every kind of them has room for, of characters that no tool takes for anything else."""
    if DISK_LABEL.fullmatch(text):
        return None
    return f"{text!r} is no label", "Use up to 12 letters, digits and . _ - and begin with a letter or digit"


def devices(text: str) -> Problem | None:
    """A comma list of block devices by names that nobody can take for another one's."""
    for part in text.split(","):
        device = part.strip()
        if not DEVICE.fullmatch(device) or ".." in device.split("/"):
            return (
                f"{device!r} is no device",
                "Write full names such as /dev/disk/by-id/NAME or /dev/vdb, without patterns",
            )
        if device.startswith(("/dev/disk/by-label/", "/dev/disk/by-uuid/")):
            return (
                f"{device!r} names a device by the file system on it, and one that has any is never formatted",
                "Name it by /dev/disk/by-id, by-path or by-partuuid",
            )
    return None


def seconds(text: str) -> Problem | None:
    """A time that a boot waits."""
    return None if text.isdecimal() and int(text) <= 600 else (f"{text!r} is no time to wait", "Use whole seconds from 0 to 600")
