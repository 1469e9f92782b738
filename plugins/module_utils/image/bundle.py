# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a bundle: one generation of an image with everything that defines it, in one signed file.

A zstd-compressed POSIX tar archive, read and written as a stream, in this order:

    bundle.json        format, image, id, and name, size and SHA-256 of every file below but the tree
    bundle.json.sig    the signature of bundle.json by the site's key
    rows.json          rows of osimage, linuximage, litefile and litetree, and the list files that they name
    manifest.json ...  the generation's own files: manifest and its signature, list of the root tree, record, kernel, initramfs, packs
    rootimg/...        the root tree, every path of it in the signed list
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any

from ..apply.commands import ENVIRONMENT
from ..apply.signing import signed_by
from ..errors import SiteError

FORMAT = 1
HEAD, SIGNATURE, ROWS = "bundle.json", "bundle.json.sig", "rows.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
LARGEST = 64 << 20
"""Bytes of a file that is read into memory; a longer one is refused."""

TABLES = ("osimage", "linuximage", "litefile", "litetree")
REFUSED = "Take the bundle from the site that made it once more; nothing of it was taken in"
STRANGER = "Take that site's pki/image.pem over a way that you trust, and name the file in the option trusted of image_key"


@dataclass(frozen=True)
class Head:
    """What the beginning of a bundle says, its signature checked: `signer` is the short name of the key."""

    document: Mapping[str, Any]
    rows: Mapping[str, Any]
    digest: str
    signer: str

    @property
    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """Size and digest of the generation's own files, by name."""
        return {name: one for name, one in self.document["files"].items() if name != ROWS}


@contextmanager
def opened(path: str) -> Iterator[tarfile.TarFile]:
    """Give the archive in a bundle as a stream; raises SiteError when there is none.

    What zstd or tar refuses is told by the name of the file: a bundle that was cut off or changed on its way.
    """
    if not os.path.isfile(path):
        raise SiteError.of(path, "there is no such bundle", "Name a file that image_export wrote")
    process = subprocess.Popen(
        ["zstd", "--decompress", "--stdout", "--quiet", "--", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            yield archive
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise SiteError.of(path, f"is no bundle, or was cut off ({error})", REFUSED) from error
    finally:
        if process.stdout:
            process.stdout.close()
        process.kill()
        process.wait()


def plain(archive: tarfile.TarFile, path: str, wanted: str) -> tuple[tarfile.TarInfo, IO[bytes]]:
    """Return the next member, which has to be the plain file `wanted`; raises SiteError when it is not."""
    member = archive.next()
    if member is None or member.name != wanted or not member.isreg():
        found = "its end" if member is None else member.name
        raise SiteError.of(path, f"holds {found!r} where {wanted} has to be", REFUSED)
    stream = archive.extractfile(member)
    if stream is None:
        raise SiteError.of(path, f"{wanted} can't be read", REFUSED)
    return member, stream


def small(archive: tarfile.TarFile, path: str, wanted: str) -> bytes:
    """Return the content of the next member, a small plain file."""
    member, stream = plain(archive, path, wanted)
    if member.size > LARGEST:
        raise SiteError.of(path, f"{wanted} has {member.size} bytes, which is too much", REFUSED)
    return stream.read()


def read_head(archive: tarfile.TarFile, path: str, accepted: list[str]) -> Head:
    """Return the beginning of a bundle; raises SiteError when none of the `accepted` keys signed it, or it is damaged."""
    content = small(archive, path, HEAD)
    signer = signed_by(accepted, content, small(archive, path, SIGNATURE))
    if signer is None:
        raise SiteError.of(path, "is signed by none of the keys that this site accepts, or was changed since", STRANGER)
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            what = f"the bundle has format {document['format']}, this release knows format {FORMAT}"
            raise SiteError.of(path, what, "Upgrade diskless.statelite")
        if not all(NAME.fullmatch(name) and re.fullmatch("[0-9a-f]{64}", one["sha256"]) for name, one in document["files"].items()):
            raise ValueError
        raw = small(archive, path, ROWS)
        if sha256(raw).hexdigest() != document["files"][ROWS]["sha256"]:
            raise SiteError.of(path, f"{ROWS} is not what was signed", REFUSED)
        rows = json.loads(raw)
        if not all(NAME.fullmatch(str(document[name])) for name in ("image", "id")) or "rootimg" in document["files"]:
            raise ValueError
        _check_rows(rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteError.of(path, "its beginning is no description of an image", REFUSED) from error
    return Head(document, rows, sha256(content).hexdigest(), signer)


def _check_rows(rows: Mapping[str, Any]) -> None:
    """Raise ValueError unless every table has a list of rows of texts, and the lists are texts by whole paths."""
    for name in TABLES:
        for row in rows[name]:
            if not all(isinstance(key, str) and isinstance(value, str) for key, value in row.items()):
                raise ValueError
    if len(rows["osimage"]) != 1 or len(rows["linuximage"]) > 1:
        raise ValueError
    if not all(path.startswith("/") and isinstance(text, str) for path, text in rows["lists"].items()):
        raise ValueError
