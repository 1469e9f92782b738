# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of a node for the answer service, without a socket: from the bytes to the whole answer.

The answer is always whole and well-formed, says nothing of other nodes, and nothing is written but this node's own files in the
spool. An exception that only the connection's last handler would catch is a fault here.
"""

from __future__ import annotations

import os
import re
from xml.etree import ElementTree

import atheris
import harness

with atheris.instrument_imports(include=[harness.COLLECTION]):
    from ansible_collections.diskless.statelite.plugins.module_utils.answer import commands, protocol
    from ansible_collections.diskless.statelite.plugins.module_utils.answer.spool import LIMIT, Spool
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.served import Layouts
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.treeplan import Wanted, plan_tree
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

WORK = harness.work_directory("wire")
HOST, ADDRESS = "n1", "10.0.0.1"
SECRETS = (b"other-secret", b"10.99.0.")
TABLES = {
    "policy": [
        {"priority": "1", "commands": "litefile", "parameters": "^[a-z=0-9 ]*$", "rule": "allow"},
        {"priority": "2", "commands": "litetree,bootplan,bootreport,bootfailure", "noderange": "n1", "rule": "allow"},
    ],
    "nodelist": [{"node": "n1", "groups": "all"}, {"node": "n2", "groups": "all,secret"}],
    "hosts": [{"node": "n1", "ip": "10.0.0.1"}, {"node": "n2", "ip": "10.99.0.2"}],
    "nodetype": [{"node": "all", "provmethod": "img1"}, {"node": "n2", "provmethod": "other-secret"}],
    "nodepos": [{"node": "n1", "room": 'a&<"b'}, {"node": "n2", "room": "other-secret"}],
    "osimage": [{"imagename": name, "provmethod": "statelite"} for name in ("img1", "img2")],
    "linuximage": [{"imagename": "img1", "rootimgdir": f"{WORK}/image"}, {"imagename": "img2", "rootimgdir": f"{WORK}/none"}],
    "litefile": [{"file": "/etc/\u00fc &<x>"}, {"image": "img1", "file": "/var/log/", "options": "tmpfs"}],
    "litetree": [{"priority": "1", "directory": "10.0.0.9:/lt/$nodepos.room"}],
    "statelite": [{"node": "n1", "statemnt": "10.0.0.9:/st"}, {"node": "n2", "statemnt": "10.99.0.9:/other-secret"}],
}


def image() -> None:
    """Make and lay out the image of the nodes."""
    rootimg = WORK / "image" / "rootimg"
    (rootimg / "etc").mkdir(parents=True)
    (WORK / "spool").mkdir()
    plan_tree(str(rootimg), Wanted("img1", entries_for(Site(TABLES), "img1"))).apply()


image()
DESK = commands.Desk(Site(TABLES), Spool(str(WORK / "spool")), Layouts(), "mn")


def everything() -> list[str]:
    return sorted(os.path.join(folder, name) for folder, _folders, names in os.walk(WORK) for name in names)


BEFORE = everything()


def whole(reply: bytes, asked: bytes) -> None:
    """Fail unless the reply is a row of documents that the original's parser takes, the last of which says that all is said."""
    documents = re.findall(rb"<xcatresponse>\n(?:  .*\n)*</xcatresponse>\n", reply)
    harness.expect(b"".join(documents) == reply, f"not a row of documents: {reply!r}")
    try:
        roots = [ElementTree.fromstring(document) for document in documents]
    except ElementTree.ParseError as error:
        raise harness.FoundError(f"{error}: {reply!r}") from error
    harness.expect(roots[-1].find("serverdone") is not None, f"the end is missing: {reply!r}")
    told = [secret for secret in SECRETS if secret in reply and secret not in asked]
    harness.expect(not told, f"it tells of another node: {reply!r}")


def one(data: bytes) -> None:
    buffer = data
    while True:
        end = protocol.end_of_request(buffer)
        if not end:
            break
        content, buffer = buffer[:end], buffer[end:]
        try:
            request = protocol.parse(content)
        except protocol.BadRequestError as error:
            whole(protocol.trouble("mn", str(error)), data)
            return
        whole(commands.answer(DESK, HOST, ADDRESS, request), data)
    new = set(everything()) - set(BEFORE)
    spooled = {f"{WORK}/spool/n1.json", f"{WORK}/spool/n1.failure.json"}
    harness.expect(new <= spooled, f"it wrote {new - spooled}")
    harness.expect(all(os.path.getsize(path) <= LIMIT for path in new), "the spool holds more than it may")


if __name__ == "__main__":
    harness.fuzz(one)
