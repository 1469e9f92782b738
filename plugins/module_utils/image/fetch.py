# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb generation_fetch: a generation that another host has built comes here, into staging, and appears by one rename.

The stream comes by ssh from a host whose key is known beforehand. What arrives is compared, path by path, with what the
builder there said it made; that came over another way, the connection of whoever started the builder.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..apply.files import read_bytes, write_file
from ..apply.generations import RECORD, ROOTIMG, Generation, next_number, staging
from ..apply.manifest import unseal
from ..apply.pipelines import Stage, run_pipeline
from ..apply.removal import remove_tree
from ..apply.treelist import differences as tree_differences
from ..apply.treelist import unpacked
from ..errors import Fault, SiteError, raise_faults
from ..nodes.site import Site
from .asked import SPEC as ASKED
from .asked import read_site
from .build import keep, only_build, staging_left
from .definition import Definition
from .dryrun import BUILDER, PROGRAM
from .genimage import defined, newest_generation
from .inputs import Inputs, differences
from .mounts import alone
from .sending import extract_command, list_name, plain_files

FILES = ("dracut_module", "rootfs", "share", "ca", "authorized_keys", "root_hash_file", "limit")
SPEC: dict[str, Any] = {
    **{name: ASKED[name] for name in ("image", "site", *FILES)},
    "host": {"type": "str", "required": True},
    "user": {"type": "str", "default": "root"},
    "port": {"type": "int", "default": 22},
    "identity": {"type": "path", "default": "/etc/statelite/ssh/id_ed25519"},
    "server_keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
    "python": {"type": "str", "default": "python3"},
    "program": {"type": "str", "default": f"{BUILDER}/{PROGRAM}"},
    "source": {"type": "str", "required": True},
    "contents": {
        "type": "dict",
        "required": True,
        "options": {
            "number": {"type": "int", "required": True},
            "tree": {"type": "str", "required": True},
            "files": {"type": "dict", "required": True},
        },
    },
}
"""Options of the module generation_fetch."""

KNOWN_HOSTS = ".genimage.known_hosts"
ALIAS = "build-host"
HOST_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: .*)?")
HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]*")
USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
DIGEST = re.compile(r"[0-9a-f]{64}")
MEND = "See whether this machine's root reaches the build host by ssh with that key (role build_host lets it in), then run again"
ANEW = "Build the image on the build host again"


@dataclass
class Fetch:
    """The plan. `due` is false when the newest generation here is the one to be fetched."""

    definition: Definition
    inputs: Inputs
    params: Mapping[str, Any]
    newest: Generation | None
    due: bool

    @property
    def place(self) -> str:
        """What the generation is called in words."""
        return f"generation {self.params['contents']['number']} of {self.params['source']} on {self.params['host']}"

    def lines(self) -> list[str]:
        """Return what would be done."""
        image = self.definition.image
        lines = [f"{image.name}: remove {path}, which an interrupted build left" for path in staging_left(image.rootimgdir)]
        if self.due:
            lines.append(f"{image.name}: take {self.place} in as generation {next_number(image.rootimgdir)} of {image.rootimgdir}")
        return lines

    def result(self) -> dict[str, Any]:
        """Return the newest generation (in check mode: the one before the fetch)."""
        record = self.newest.record() if self.newest else {}
        return {
            "image": self.definition.image.name,
            "provmethod": self.definition.image.provmethod,
            "generation": self.newest.number if self.newest else None,
            "rootimg": self.newest.rootimg if self.newest else None,
            "kernel_version": record.get("kernel_version"),
            "built_on": record.get("built_on", {}),
        }

    def apply(self) -> None:
        """Fetch, compare and keep; one run at a time on one image directory."""
        image = self.definition.image
        rootimgdir = image.rootimgdir
        with only_build(image.name, rootimgdir):
            if not self.due:
                return
            stage = staging(rootimgdir, next_number(rootimgdir))
            try:
                os.makedirs(stage)
                self._receive(stage)
                record = self._compare(stage)
                unseal(Generation(stage, None))
                self.newest = keep(rootimgdir, stage, {**record, "built_on": origin(self.params)})
            except BaseException:
                remove_tree(stage)
                raise

    def _receive(self, stage: str) -> None:
        params, known = self.params, os.path.join(self.definition.image.rootimgdir, KNOWN_HOSTS)
        write_file(known, "".join(f"{ALIAS} {key.strip()}\n" for key in params["server_keys"]).encode(), 0o600)
        try:
            tools = [Stage("ssh", alone(*ssh_command(params, known))), Stage("tar", alone(*extract_command(stage)))]
            run_pipeline(tools, os.devnull, limit=params["limit"], mend=MEND)
        finally:
            os.unlink(known)

    def _compare(self, stage: str) -> dict[str, Any]:
        """Return the record of what arrived; raises SiteError when anything is not what the builder said, or not what is declared now."""
        contents, where = self.params["contents"], self.place
        path = os.path.join(stage, list_name(contents["number"]))
        told = read_bytes(path) or b""
        if sha256(told).hexdigest() != contents["tree"]:
            raise SiteError.of(where, "came without the list of its root tree that its builder wrote", ANEW)
        os.unlink(path)
        found = plain_files(stage)
        faults = [
            Fault(f"{name} of {where}", "is not the file that its builder wrote", ANEW)
            for name in sorted({*found, *contents["files"]})
            if found.get(name) != contents["files"].get(name)
        ]
        wrong = tree_differences(unpacked(told, where), os.path.join(stage, ROOTIMG))
        raise_faults([*faults, *(Fault(fault.where, f"{fault.what} of the build host", ANEW) for fault in wrong)])
        record = Generation(stage, None).record()
        since = differences(record.get("inputs", {}), self.inputs.record)
        if since:
            what = f"was not built from what is declared now ({'; '.join(since)})"
            raise SiteError.of(where, what, "Describe and build it anew: the build host used an older description")
        return record


def origin(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a generation comes from, which tells it from any other one: its record has the time of its build."""
    contents = params["contents"]
    return {"host": params["host"], "generation": contents["number"], "tree": contents["tree"], "record": contents["files"].get(RECORD)}


def ssh_command(params: Mapping[str, Any], known_hosts: str) -> list[str]:
    """Return the command that has the builder on the build host write the generation to standard output."""
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": os.devnull,
        "HostKeyAlias": ALIAS,
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    wanted = [
        params["python"],
        params["program"],
        "--rootimgdir",
        params["source"],
        "--send",
        str(params["contents"]["number"]),
        params["image"],
    ]
    reached = ["-F", "none", "-i", params["identity"], "-p", str(params["port"]), "-l", params["user"], *options, "--", params["host"]]
    return ["ssh", *reached, shlex.join(wanted)]


def _faults(params: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong with the options themselves."""
    found = []
    if not HOST_NAME.fullmatch(params["host"]):
        found.append(Fault("option host", f"'{params['host']}' is no name or address of a machine", "Write one"))
    if not USER_NAME.fullmatch(params["user"]):
        found.append(Fault("option user", f"'{params['user']}' is no name of a user", "Write one, such as root"))
    if not params["server_keys"] or not all(HOST_KEY.fullmatch(key.strip()) for key in params["server_keys"]):
        mend = "Give the content of /etc/ssh/ssh_host_ed25519_key.pub of the build host"
        found.append(Fault("option server_keys", "names no public key of the build host", mend))
    if not os.path.isabs(params["source"]):
        found.append(Fault("option source", f"'{params['source']}' is no whole path", "Write the image directory on the build host"))
    if not os.path.isfile(params["identity"]):
        mend = "Run the role management_node, which makes the site's key, or name another one"
        found.append(Fault("option identity", f"{params['identity']} does not exist", mend))
    if not DIGEST.fullmatch(params["contents"]["tree"]):
        found.append(Fault("option contents", "holds no digest of a tree", "Give `contents` of the builder's report"))
    return found


def plan_fetch(site: Site, params: Mapping[str, Any]) -> Fetch:
    """Return the plan; raises SiteError with every fault of the options and of the image's definition."""
    faults = _faults(params)
    try:
        definition, inputs = defined(site, {**params, "other_release": True}, here=False)
    except SiteError as error:
        raise SiteError(*faults, *error.faults) from error
    raise_faults(faults)
    newest = newest_generation(definition.image.rootimgdir)
    there = newest.record().get("built_on") if newest else None
    return Fetch(definition, inputs, params, newest, there != origin(params))


def read_and_plan(params: Mapping[str, Any], _warn: Callable[[str], None]) -> Fetch:
    """Read the site's rows and return the plan for the image that the options name."""
    return plan_fetch(read_site(params["site"]), params)
