# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key by which a site signs its images: made once, renewed when its serial is raised; former and foreign keys accepted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..apply.commands import is_installed, run_command
from ..apply.files import read_bytes, write_file
from ..apply.scratch import scratch
from ..apply.signing import KEY, LIMIT, MEND, PUBLIC, TRUSTED, identity, keys_of, public_keys
from ..errors import Fault, SiteError, raise_faults

SPEC: dict[str, Any] = {
    "directory": {"type": "path", "default": "/etc/statelite/pki"},
    "serial": {"type": "int", "default": 1},
    "keep_former": {"type": "bool", "default": True},
    "trusted": {"type": "list", "elements": "path"},
}
"""Options of the module image_key."""

HEAD = re.compile(r"image signing key ([0-9]+) of this site\n")


def openssl(*arguments: str) -> str:
    """Run openssl and return what it prints."""
    return run_command(["openssl", *arguments], limit=LIMIT, mend=MEND)


@dataclass
class KeyPlan:
    """What is made or changed: another key because of `reason`, former ones that go, the file of foreign ones."""

    directory: str
    serial: int
    own: list[str]
    reason: str
    dropped: list[str]
    trusted: list[str] | None
    wrong_mode: bool = False

    def path(self, name: str) -> str:
        """Return the path of a file of the directory."""
        return os.path.join(self.directory, name)

    def lines(self) -> list[str]:
        """Return one line a change."""
        lines = [f"make {self.path(KEY)}, serial {self.serial}: {self.reason}"] if self.reason else []
        lines += [f"mode {self.path(KEY)} 0600"] if self.wrong_mode else []
        lines += [f"no longer accept the former key {identity(key)}" for key in self.dropped]
        before = keys_of(self.path(TRUSTED))
        if self.trusted is not None:
            lines += [f"accept the key {identity(key)} of another site" for key in self.trusted if key not in before]
            lines += [f"no longer accept the key {identity(key)} of another site" for key in before if key not in self.trusted]
        return lines

    def result(self) -> dict[str, Any]:
        """Return the names of the keys; that of a key which is yet to be made is not known."""
        kept = [key for key in self.own if key not in self.dropped]
        foreign = keys_of(self.path(TRUSTED)) if self.trusted is None else self.trusted
        return {
            "public_key": self.path(PUBLIC),
            "serial": self.serial,
            "former": [identity(key) for key in (kept if self.reason else kept[1:])],
            "trusted": [identity(key) for key in foreign],
        }

    def apply(self) -> None:
        """The private key first: signatures are made with it from the moment that its public key is written."""
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        own = list(self.own)
        kept = [key for key in own if key not in self.dropped]
        if self.reason:
            with scratch("key") as work:
                made = os.path.join(work, KEY)
                openssl("genpkey", "-algorithm", "ED25519", "-out", made)
                public = openssl("pkey", "-in", made, "-pubout")
                accepted = [*public_keys(public), *kept]
                write_file(self.path(KEY), read_bytes(made) or b"", 0o600, 0, 0)
            write_file(self.path(PUBLIC), self._text(accepted), 0o644, 0, 0)
        elif self.dropped:
            write_file(self.path(PUBLIC), self._text(kept), 0o644, 0, 0)
        if self.wrong_mode:
            os.chmod(self.path(KEY), 0o600)
        if self.trusted is not None and self.trusted != keys_of(self.path(TRUSTED)):
            write_file(self.path(TRUSTED), "".join(self.trusted).encode(), 0o644, 0, 0)

    def _text(self, keys: list[str]) -> bytes:
        return (f"image signing key {self.serial} of this site\n" + "".join(keys)).encode()


def _reason(path: Callable[[str], str], own: list[str], asked: int, there: int) -> str:
    """Return why a key is to be made, empty when the one that is there is right."""
    if not own:
        return "there is none"
    if not os.path.isfile(path(KEY)):
        return "its private half is missing"
    if not is_installed("openssl"):
        raise SiteError.of("openssl", "is not installed", f"Install openssl 3: whether {path(KEY)} is right can't be seen without it")
    try:
        public = public_keys(openssl("pkey", "-in", path(KEY), "-pubout"))
    except SiteError:
        return "its private half can't be read"
    if public != own[:1]:
        return "its two halves do not belong together"
    return f"its serial was {there}" if asked > there else ""


def plan_key(params: Mapping[str, Any], _warn: Callable[[str], None]) -> KeyPlan:
    """Return what makes the directory hold the key that is asked for; raises SiteError with every fault of the options."""
    directory, serial = params["directory"], params["serial"]
    faults = [Fault("serial", f"{serial} is no number of a key", "Count from 1")] if serial < 1 else []
    trusted: list[str] | None = None if params["trusted"] is None else []
    for name in params["trusted"] or []:
        found = keys_of(name)
        if not found:
            faults.append(Fault(f"trusted {name}", "holds no public key", "Copy the other site's pki/image.pem, and name the copy"))
        trusted = [*(trusted or []), *found]

    def path(name: str) -> str:
        return os.path.join(directory, name)

    own = keys_of(path(PUBLIC))
    head = HEAD.match((read_bytes(path(PUBLIC)) or b"").decode("ascii", "replace"))
    there = int(head.group(1)) if head else 1
    if own and serial < there:
        faults.append(
            Fault("serial", f"{serial} is lower than that of the key which is there ({there})", f"Ask for {there}, or more for another key")
        )
    raise_faults(faults)
    reason = _reason(path, own, serial, there)
    former = own if reason else own[1:]
    wrong_mode = not reason and os.stat(path(KEY)).st_mode & 0o7777 != 0o600
    return KeyPlan(directory, serial, own, reason, [] if params["keep_former"] else former, trusted, wrong_mode)
