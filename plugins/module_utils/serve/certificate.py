# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's CA and the answer service's certificate, made and renewed around openssl (decisions.md, The servers, The node)."""

from __future__ import annotations

import datetime
import grp
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..apply.commands import run_command
from ..apply.files import read_bytes, write_file
from ..apply.scratch import scratch
from ..errors import Fault, SiteError, raise_faults
from .rotation import BUNDLE, KEEP, NEXT, STEPS, SWITCH, Authorities, Rotation, certificates_in, joined, next_step

MEND = "Install openssl, and look at the lines above"
UTC = datetime.timezone.utc
DAY = datetime.timedelta(days=1)
SPEC = {
    "directory": {"type": "path", "default": "/etc/statelite/pki"},
    "authority": {"type": "path"},
    "common_name": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "required": True},
    "names": {"type": "list", "elements": "str", "default": []},
    "group": {"type": "str", "default": "statelite"},
    "days": {"type": "int", "default": 397},
    "ca_days": {"type": "int", "default": 3650},
    "renew_days": {"type": "int", "default": 30},
    "rotation": {"type": "str", "default": KEEP, "choices": list(STEPS)},
}

# Signing goes through `openssl ca` alone: only it can set the first day, in every release of openssl 1.1 and 3.
CONFIGURATION = """
[ca]
default_ca = here
[here]
new_certs_dir = {work}
database = {work}/index
serial = {work}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
organizationName = optional
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[service]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


def openssl(*arguments: str) -> str:
    """Run openssl and return what it prints."""
    return run_command(["openssl", *arguments], limit=60, mend=MEND)


@dataclass(frozen=True)
class Certificate:
    """What a certificate says."""

    common_name: str
    addresses: frozenset[str]
    names: frozenset[str]
    expires: datetime.datetime


def parse(text: str) -> Certificate:
    """Return what `openssl x509 -noout -subject -nameopt multiline -enddate -ext subjectAltName` printed."""
    name = re.search(r"commonName\s*=\s*(.*)", text)
    end = re.search(r"notAfter=(.*)", text)
    expires = (
        datetime.datetime.strptime(end.group(1).strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        if end
        else datetime.datetime.min.replace(tzinfo=UTC)
    )
    addresses = frozenset(str(ipaddress.ip_address(found)) for found in re.findall(r"IP Address:([0-9A-Fa-f:.]+)", text))
    return Certificate(name.group(1).strip() if name else "", addresses, frozenset(re.findall(r"DNS:([^,\s]+)", text)), expires)


def read_certificate(path: str) -> Certificate | None:
    """Return what the certificate at `path` says, None when there is none or it cannot be read as one."""
    if read_bytes(path) is None:
        return None
    try:
        return parse(openssl("x509", "-in", path, "-noout", "-subject", "-nameopt", "multiline", "-enddate", "-ext", "subjectAltName"))
    except SiteError:
        return None


def _same_key(certificate: str, key: str) -> bool:
    try:
        return openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")
    except SiteError:
        return False


def _signed(certificate: str, authority: str) -> bool:
    """Tell whether the certificate at a path is signed by the CA of a PEM text."""
    with scratch("ca") as directory:
        trusted = os.path.join(directory, "ca.pem")
        write_file(trusted, authority.encode())
        try:
            openssl("verify", "-CAfile", trusted, certificate)
        except SiteError:
            return False
    return True


@dataclass(frozen=True)
class Wanted:
    """What the certificate has to say."""

    directory: str
    common_name: str
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    group: int
    days: int
    ca_days: int
    renew_days: int
    authority: str = ""
    """The directory of the CA where it is another one's: then it is used, and neither made nor changed."""

    def path(self, name: str) -> str:
        """Return the path of one of the files of `modes`, or of the CA's."""
        return os.path.join(self.authority if self.authority and name.startswith("ca") else self.directory, name)

    @property
    def modes(self) -> dict[str, tuple[int, int]]:
        """Mode and group of every file: the CA's key is root's alone, the service's user reads its own."""
        own = {"server.key": (0o640, self.group), "server.pem": (0o644, 0)}
        authority = {name: (0o600 if name.endswith(".key") else 0o644, 0) for name in ("ca.key", "ca.pem", "ca-next.key", "ca-next.pem")}
        return own if self.authority else {**authority, **own}


def reason_to_issue(wanted: Wanted, there: Certificate | None, now: datetime.datetime) -> str:
    """Return why the service's certificate has to be issued, empty when it is as wanted (pure)."""
    if there is None:
        return "there is none"
    if there.common_name != wanted.common_name:
        return f"it is for {there.common_name}, not {wanted.common_name}"
    missing = sorted(set(wanted.addresses) - there.addresses) + sorted(set(wanted.names) - there.names)
    if missing:
        return f"it lacks {', '.join(missing)}"
    extra = sorted(there.addresses - set(wanted.addresses)) + sorted(there.names - set(wanted.names))
    if extra:
        return f"it still names {', '.join(extra)}"
    if there.expires - now < wanted.renew_days * DAY:
        return f"it expires on {there.expires:%Y-%m-%d}"
    return ""


@dataclass
class Issue:
    """The plan: which certificates to make, a rotation's step, which modes to set. `kept` are CAs that stay accepted beside a new one."""

    wanted: Wanted
    new_authority: str
    new_certificate: str
    modes: list[str]
    kept: tuple[str, ...] = ()
    rotation: Rotation = field(default_factory=Rotation)
    expires: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return one line a certificate made or a mode set."""
        found = list(self.rotation.lines)
        if self.new_authority:
            found.append(f"issue {self.wanted.path('ca.pem')}: {self.new_authority}")
        if self.new_certificate:
            names = ", ".join((*self.wanted.addresses, *self.wanted.names))
            found.append(f"issue {self.wanted.path('server.pem')} for {self.wanted.common_name} ({names}): {self.new_certificate}")
        return found + [f"mode {self.wanted.path(name)} {self.wanted.modes[name][0]:04o}" for name in self.modes]

    def result(self) -> dict[str, Any]:
        """Return the paths and what the certificate says."""
        return {
            "ca": self.wanted.path("ca.pem"),
            "certificate": self.wanted.path("server.pem"),
            "key": self.wanted.path("server.key"),
            "common_name": self.wanted.common_name,
            "addresses": sorted(self.wanted.addresses),
            "expires": self.expires.get("server.pem", ""),
            "ca_expires": self.expires.get("ca.pem", ""),
        }

    def apply(self) -> None:
        """Make what is missing; every file is replaced by one rename, the key before its certificate."""
        os.makedirs(self.wanted.directory, mode=0o755, exist_ok=True)
        with scratch("pki") as work:
            if self.new_authority:
                self._issue(work, "ca", "authority", self.wanted.ca_days)
            self._rotate(work)
            if self.new_certificate:
                self._issue(work, "server", "service", self.wanted.days)
        if self.rotation.switches:
            for name in (NEXT, "ca-next.key"):
                os.unlink(self.wanted.path(name))
        for name in self.modes:
            mode, group = self.wanted.modes[name]
            os.chown(self.wanted.path(name), 0, group)
            os.chmod(self.wanted.path(name), mode)
        self.expires.update(_expiries(self.wanted))

    def _rotate(self, work: str) -> None:
        """Do the step: a successor is whole before nodes are told of it, and accepted by name before it issues."""
        if self.rotation.makes:
            self._issue(work, "ca-next", "authority", self.wanted.ca_days)
        if self.rotation.bundle is not None:
            following = certificates_in(self.wanted.directory, NEXT) if self.rotation.adds else ()
            self._write(BUNDLE, joined((*self.rotation.bundle, *following)))
        if self.rotation.switches:
            self._write("ca.key", read_bytes(self.wanted.path("ca-next.key")) or b"")

    def _write(self, name: str, content: bytes) -> None:
        mode, group = self.wanted.modes[name]
        write_file(self.wanted.path(name), content, mode, 0, group)

    def _issue(self, work: str, name: str, kind: str, days: int) -> None:
        """Make a key and a certificate, valid since yesterday (a node's clock may be behind)."""
        names = ",".join([*(f"IP:{one}" for one in self.wanted.addresses), *(f"DNS:{one}" for one in self.wanted.names)])
        for path, text in (
            ("configuration", CONFIGURATION.format(work=work, names=names)),
            ("index", ""),
            ("serial", f"{int.from_bytes(os.urandom(8), 'big') | 1:016X}\n"),
        ):
            with open(os.path.join(work, path), "w", encoding="utf-8") as stream:
                stream.write(text)
        key, request, made = (os.path.join(work, f"{name}.{suffix}") for suffix in ("key", "csr", "pem"))
        common_name = self.wanted.common_name if name == "server" else f"statelite CA of {self.wanted.common_name}"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        subject = "/CN=" + common_name.replace("\\", "\\\\").replace("/", "\\/")
        openssl("req", "-new", "-config", os.devnull, "-utf8", "-subj", subject, "-key", key, "-out", request)
        now = datetime.datetime.now(UTC)
        signer = ["-selfsign", "-keyfile", key]
        if name == "server":
            signer = ["-cert", self.wanted.path("ca.pem"), "-keyfile", self.wanted.path("ca.key")]
        dates = ["-startdate", f"{now - DAY:%Y%m%d%H%M%SZ}", "-enddate", f"{now + days * DAY:%Y%m%d%H%M%SZ}"]
        configuration = os.path.join(work, "configuration")
        openssl("ca", "-batch", "-notext", "-config", configuration, "-extensions", kind, *signer, *dates, "-in", request, "-out", made)
        self._write(f"{name}.key", read_bytes(key) or b"")
        self._write(f"{name}.pem", (read_bytes(made) or b"") + (joined(self.kept) if name == "ca" else b""))


def _expiries(wanted: Wanted) -> dict[str, str]:
    found = {}
    for name in ("ca.pem", "server.pem"):
        there = read_certificate(wanted.path(name))
        if there is not None:
            found[name] = f"{there.expires:%Y-%m-%dT%H:%M:%SZ}"
    return found


def _wanted(params: dict[str, Any]) -> Wanted:
    faults: list[Fault] = []
    addresses: list[str] = []
    for text in params["addresses"]:
        try:
            addresses.append(str(ipaddress.ip_address(text)))
        except ValueError:
            faults.append(Fault("addresses", f"'{text}' is no address", "List addresses; host names go into names"))
    faults.extend(
        Fault("names", f"'{name}' is no host name", "Write a DNS name")
        for name in params["names"]
        if not re.fullmatch(r"[A-Za-z0-9*._-]+", name)
    )
    if not params["addresses"]:
        faults.append(Fault("addresses", "the list is empty", "List every address that nodes reach the service at (the word XCAT=)"))
    if not re.fullmatch(r"[^\x00-\x1f]{1,40}", params["common_name"]):
        faults.append(Fault("common_name", "it must have 1 to 40 printable characters", "Use the name of the management node"))
    try:
        group = grp.getgrnam(params["group"]).gr_gid
    except KeyError:
        group = 0
        faults.append(Fault("group", f"there is no group '{params['group']}'", "Make the service's user first"))
    raise_faults(faults)
    counts = {name: params[name] for name in ("days", "ca_days", "renew_days")}
    return Wanted(
        params["directory"],
        params["common_name"],
        tuple(dict.fromkeys(addresses)),
        tuple(params["names"]),
        group,
        **counts,
        authority=params.get("authority") or "",
    )


def _needs_mode(wanted: Wanted, name: str) -> bool:
    try:
        status = os.stat(wanted.path(name))
    except FileNotFoundError:
        return False
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) != (wanted.modes[name][0], 0, wanted.modes[name][1])


def _authorities(wanted: Wanted) -> Authorities:
    """Return the CAs that are there; one that follows counts only with its key."""
    following = certificates_in(wanted.directory, NEXT)
    whole = following and _same_key(wanted.path(NEXT), wanted.path("ca-next.key"))
    bundle = certificates_in(wanted.authority or wanted.directory, BUNDLE)
    return Authorities(bundle, following[0] if whole else "", bool(following) and not whole)


def _refuse_to_be_authority(wanted: Wanted, step: str, there: Authorities) -> None:
    """Raise SiteError when a CA would have to be made or changed that is another certificate's to keep."""
    if step != KEEP:
        raise SiteError.of("rotation", f"{step} is not for a certificate with another directory's CA", "Take the step in that directory")
    if not there.bundle or not _same_key(wanted.path(BUNDLE), wanted.path("ca.key")):
        mend = "Run the role answer_service on the management node first"
        raise SiteError.of(wanted.path(BUNDLE), "there is no CA with its key that could issue a certificate", mend)


def _authority_due(
    wanted: Wanted, step: str, there: Authorities, now: datetime.datetime, warn: Callable[[str], None]
) -> tuple[str, tuple[str, ...], Rotation]:
    """Return why the CA has to be made, empty when it stays; the CAs that stay accepted beside it; and the rotation's step."""
    if wanted.authority:
        _refuse_to_be_authority(wanted, step, there)
        return "", (), Rotation()
    authority = read_certificate(wanted.path(BUNDLE))
    if authority is None or not there.bundle:
        return "there is none", (), Rotation()
    if not there.begun and not _same_key(wanted.path(BUNDLE), wanted.path("ca.key")):
        return "its key is missing or another one's", (), Rotation()
    if authority.expires - now < wanted.renew_days * DAY:
        if there.successor not in there.bundle:
            return f"it expires on {authority.expires:%Y-%m-%d}", there.bundle, Rotation()
        step = SWITCH
    elif authority.expires - now < 365 * DAY and step == KEEP and not there.successor:
        warn(f"the site's CA expires on {authority.expires:%Y-%m-%d}: run with rotation: add, and build the images again")
    return "", (), next_step(step, there, wanted.directory)


def plan_certificate(params: dict[str, Any], warn: Callable[[str], None]) -> Issue:
    """Return what has to be issued so that the directory holds a CA and a certificate that says what is wanted.

    Raises SiteError when the step of a rotation that is asked for can't follow what is there, or another directory's CA can't issue.
    """
    wanted, step = _wanted(params), params["rotation"]
    now = datetime.datetime.now(UTC)
    there = _authorities(wanted)
    new_authority, kept, rotation = _authority_due(wanted, step, there, now, warn)
    served = read_certificate(wanted.path("server.pem"))
    new = "its CA is new" if (new_authority or rotation.switches) and served else reason_to_issue(wanted, served, now)
    if not new and not _same_key(wanted.path("server.pem"), wanted.path("server.key")):
        new = "its key is missing or another one's"
    if not new and not _signed(wanted.path("server.pem"), there.bundle[0]):
        new = "it is not signed by the site's CA"
    written = {
        "server": new != "",
        "ca": new_authority != "" or rotation.bundle is not None,
        "ca-next": rotation.makes or rotation.switches,
    }
    names = [name for name in wanted.modes if not written[name.split(".")[0]] and _needs_mode(wanted, name)]
    return Issue(wanted, new_authority, new, names, kept, rotation, _expiries(wanted))
