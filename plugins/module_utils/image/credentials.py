# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets the site into its nodes, and nodes trust the site: root's keys and password, the site's CA.

What the document's add_passwd and add_ssh do, but without copying the management node's accounts or any private
key: an image is readable to every node (decisions.md, The node).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..apply.files import read_bytes
from ..apply.root import Root
from ..errors import Fault
from .tree import TreeFile, put, put_directory

CA = "/etc/statelite/ca.pem"
AUTHORIZED_KEYS = "/root/.ssh/authorized_keys"
SSH_SERVER = "/usr/lib/systemd/system/sshd.service"
HOST_KEY = re.compile(r"ssh_host_[a-z0-9]+_key(\.pub)?")
HASH = re.compile(r"\$[0-9a-z]+\$[^:\s]+")
"""A crypt(3) hash with a method: never a plain word, never the old DES form."""


@dataclass(frozen=True)
class Credentials:
    """Files for the image, and root's hash ('' leaves the account without a password). Host keys are among the files only when the
    site asks for nodes that share them.
    """

    files: tuple[TreeFile, ...] = ()
    root_hash: str = ""


def read_credentials(ca: str, authorized_keys: str, root_hash_file: str, host_keys: str = "") -> tuple[Credentials, list[Fault]]:
    """Read the three files named, and the host keys in a directory (an empty name: none); return them with every fault found in them.

    No fault ever quotes a content.
    """
    faults: list[Fault] = []
    files = []
    for source, path, mode, wanted, mend in (
        (ca, CA, 0o644, b"-----BEGIN CERTIFICATE-----", "Run the role answer_service, which makes the site's CA, or name its certificate"),
        (authorized_keys, AUTHORIZED_KEYS, 0o600, b"ssh-", "Run the role management_node, which makes the site's key, or name public keys"),
    ):
        content = read_bytes(source) if source else None
        if not source:
            continue
        if content is None:
            faults.append(Fault(source, "does not exist", mend))
        elif b"PRIVATE KEY" in content:
            faults.append(Fault(source, "holds a private key, and every node can read an image", "Name the public part only"))
        elif wanted not in content and b"ecdsa-" not in content:
            faults.append(Fault(source, f"holds no '{wanted.decode()}'", mend))
        else:
            files.append(TreeFile(path, content, mode))
    root_hash = ""
    if root_hash_file:
        root_hash = (read_bytes(root_hash_file) or b"").decode(errors="replace").strip()
        if not HASH.fullmatch(root_hash):
            faults.append(Fault(root_hash_file, "holds no crypt(3) hash", "Write the output of `openssl passwd -6` into it, one line"))
    shared, wrong = read_host_keys(host_keys)
    return Credentials((*files, *shared), root_hash), [*faults, *wrong]


def read_host_keys(directory: str) -> tuple[list[TreeFile], list[Fault]]:
    """Return the ssh host keys in a directory, private and public, which every node of the image is to have; and its faults."""
    if not directory:
        return [], []
    try:
        names = sorted(name for name in os.listdir(directory) if HOST_KEY.fullmatch(name))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    files, faults = [], []
    for name in names:
        content = read_bytes(os.path.join(directory, name)) or b""
        public = name.endswith(".pub")
        if (b"PRIVATE KEY" in content) == public:
            faults.append(
                Fault(os.path.join(directory, name), f"holds no {'public' if public else 'private'} key", "Make it with ssh-keygen")
            )
        files.append(TreeFile(f"/etc/ssh/{name}", content, 0o644 if public else 0o600))
    if not names:
        faults.append(
            Fault(directory, "holds no ssh_host_*_key", "Make them with ssh-keygen, or leave host_keys out: each node makes its own")
        )
    return files, faults


def with_root_hash(shadow: str, root_hash: str) -> str:
    """Return the text of /etc/shadow with root's password set to `root_hash`; '' makes it `*`, so that only keys let in."""
    return re.sub(r"^root:[^:]*:", lambda _match: f"root:{root_hash or '*'}:", shadow, count=1, flags=re.MULTILINE)


def enable_login(root: Root) -> None:
    """Let the ssh server start at boot where packages leave that to an installer, as SUSE's do; others' link is the same."""
    if root.lstat(SSH_SERVER) is not None:
        put(root, TreeFile(f"/etc/systemd/system/multi-user.target.wants/{os.path.basename(SSH_SERVER)}", target=SSH_SERVER))


def put_credentials(root: Root, credentials: Credentials) -> None:
    """Write the files and root's password into an image under construction."""
    if any(file.path == AUTHORIZED_KEYS for file in credentials.files):
        put_directory(root, "/root/.ssh")
        root.chmod("/root/.ssh", 0o700)
        enable_login(root)
    for file in credentials.files:
        put(root, file)
    status, shadow = root.lstat("/etc/shadow"), root.read("/etc/shadow")
    if status is not None and shadow is not None:
        text = with_root_hash(shadow.decode("utf-8", "surrogateescape"), credentials.root_hash)
        root.replace("/etc/shadow", text.encode("utf-8", "surrogateescape"), status.st_mode & 0o7777)
        root.chown("/etc/shadow", status.st_uid, status.st_gid)
