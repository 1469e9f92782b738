# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same site served by nfs-ganesha, as the role sets it up: what it makes of handles that are not the client's own."""

from __future__ import annotations

from collections.abc import Iterator

from collection import Collection
from exporting import CARD, OTHER, OWN, SERVER, forge
from facts import Fact
from guest import Guest

KERNEL_AWAY = """
systemctl disable --now nfs-server nfs-mountd 2>&1
rm /etc/exports.d/statelite.exports
"""
"""One server at a time: both have port 2049."""


def seen(server: Guest, client: Guest, collection: Collection) -> Iterator[Fact]:
    """The facts. That nfs-ganesha gives files out for forged handles is no merit: the role's README says what follows from it."""
    server.run(KERNEL_AWAY, limit=180)
    played = collection.play("site.yml", "--tags", "nfs_exports", "--extra-vars", "guest_nfs_server=ganesha")
    yield Fact("the role changes the server to nfs-ganesha", "server", played.get("server", ""), r"changed=\d+ failed=0")
    client.run(f'{CARD}; ip address replace {OTHER}/24 dev "$card"')
    for title, export, path, text in (
        ("state", "/srv/state/{}", "var/log/kept", "kept by n2"),
        ("own level", "/srv/levels/nodes/{}", "etc/own.conf", "of n2"),
    ):
        words = f"ganesha {SERVER} {OWN} {export.format('n1')} {OTHER} {export.format('n2')} {path}"
        said = forge(client, words)
        yield Fact(f"nfs-ganesha: n1 uses n2's handle of its {title}", "client", said["as it is"], "refused: credentials")
        yield Fact("nfs-ganesha gives out: n1's own export put into that handle", "client", said["export replaced"], f"read: {text}")
    client.run(f'{CARD}; ip address delete {OTHER}/24 dev "$card"')
