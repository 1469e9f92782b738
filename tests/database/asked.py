# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine of the site is asked: for a boot plan as a node asks, for its files, for a secret that must be nowhere."""

from __future__ import annotations

import socket
import ssl

import network
from box import Box
from processes import run

PORT = 3001
LIMIT = 60
REQUEST = "<xcatrequest>\n<command>bootplan</command>\n<arg>image=tiny</arg>\n<arg>generation={}</arg>\n</xcatrequest>\n"
CURRENT = "basename $(readlink /install/netboot/debian12/x86_64/tiny/current)"
FILES = (
    "find /etc /install /opt /srv /tftpboot /usr/local /var/lib/dpkg/status /var/lib/statelite /var/spool"
    " -type d -printf '%p %m %u\\n' -o -printf '%p %m %u %s %T@ %l\\n' 2>/dev/null | sort"
)
"""Every path that the roles could write to, of files also the size and the time of change."""


def be_nodes(addresses: list[str], boxes_log: Box) -> None:
    """Have the nodes' addresses on this side of the bridge, so that they can be spoken from."""
    for address in addresses:
        run(["ip", "address", "add", f"{address}/32", "dev", network.BRIDGE], log=boxes_log.commands, limit=LIMIT)


def plan_of(server: Box, node: str) -> str:
    """Return the words of the boot plan that an answer service gives the node of an address, or why it gives none."""
    authority = server.command("cat /etc/statelite/pki/ca.pem")
    request = REQUEST.format(server.command(CURRENT).strip())
    context = ssl.create_default_context(cadata=authority)
    received = b""
    with (
        socket.create_connection((server.address, PORT), LIMIT, (node, 0)) as plain,
        context.wrap_socket(plain, server_hostname=server.address) as connection,
    ):
        connection.sendall(request.encode())
        while b"<serverdone>" not in received:
            part = connection.recv(65536)
            if not part:
                break
            received += part
    return received.decode()


def files(machine: Box) -> set[str]:
    """Return every file that a check must not touch, as it is."""
    return set(machine.command(FILES, limit=LIMIT).splitlines())


def places_of(secret: str, machine: Box) -> str:
    """Return where on a machine anybody could read a secret: files for all, lists of processes, the journal."""
    script = f"""
pattern=$(mktemp)
cat > "$pattern" <<'END'
{secret}
END
find /etc /home /install /opt /root /run /srv /tftpboot /tmp /usr/lib/statelite /usr/share/statelite /var -xdev -type f -perm /o=r \
    -not -path '/var/cache/apt/*' -not -path '/var/lib/apt/*' -print0 | xargs -0 grep --files-with-matches --fixed-strings --file="$pattern"
grep --files-with-matches --fixed-strings --file="$pattern" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null
journalctl --quiet --no-pager | grep --fixed-strings --file="$pattern"
rm "$pattern"
true
"""
    return machine.command("sh", limit=300, script=script).strip()
