# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key by which a site signs its images, and the keys whose signatures it accepts: Ed25519, by openssl.

    <directory of the site database>/pki/image.key           the site's own key, root's alone
    <directory of the site database>/pki/image.pem           its public key, then former ones that are still accepted
    <directory of the site database>/pki/image-trusted.pem   public keys of other sites, whose bundles may be imported
    <directory of the site database>/pki/image-site.pem      on a service node: the public keys that the management node accepts

A signature is a file of 64 bytes beside what it signs, which people can check by hand:
`openssl pkeyutl -verify -rawin -pubin -inkey image.pem -in manifest.json -sigfile manifest.json.sig`.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import SiteError
from .commands import run_command
from .files import read_bytes
from .scratch import scratch

DIRECTORY = "pki"
KEY, PUBLIC, TRUSTED = "image.key", "image.pem", "image-trusted.pem"
BROUGHT = "image-site.pem"
PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\n(.*?)-----END PUBLIC KEY-----\n?", re.DOTALL)
MEND = "Install openssl 3, and look at the lines above"
LIMIT = 60.0


def public_keys(text: str) -> list[str]:
    """Return the public keys of a PEM text, each as a PEM text of its own."""
    return [match.group(0).rstrip("\n") + "\n" for match in PEM.finditer(text)]


def identity(public: str) -> str:
    """Return the short name of a public key: the beginning of the SHA-256 of its DER form."""
    match = PEM.search(public)
    try:
        der = binascii.a2b_base64(match.group(1)) if match else b""
    except binascii.Error:
        der = b""
    return hashlib.sha256(der).hexdigest()[:16]


def keys_of(path: str) -> list[str]:
    """Return the public keys of a file, none when it is not there."""
    return public_keys((read_bytes(path) or b"").decode("ascii", "replace"))


@contextmanager
def _files(*contents: bytes) -> Iterator[list[str]]:
    """Give files with these contents: openssl signs only what has a size. They are gone afterwards."""
    with scratch("sign") as work:
        paths = [os.path.join(work, str(number)) for number in range(len(contents))]
        for path, content in zip(paths, contents):
            with open(path, "wb") as stream:
                stream.write(content)
        yield paths


@dataclass(frozen=True)
class Keys:
    """The keys of a site: `private` is the path of its own one, `accepted` the public keys, the site's own first.

    A service node has no private one: it checks, and signs nothing.
    """

    private: str
    accepted: Sequence[str]

    def sign(self, content: bytes) -> bytes:
        """Return the signature of `content` by the site's key; raises SiteError on a service node."""
        if not self.private:
            raise SiteError.of("image", "this server has no key to sign it", "Change images on the management node, and bring them here")
        with _files(content, b"") as (signed, signature):
            run_command(
                ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", signed, "-out", signature], limit=LIMIT, mend=MEND
            )
            return read_bytes(signature) or b""

    def signer_of(self, content: bytes, signature: bytes) -> str | None:
        """Return the short name of the accepted key that signed `content`, None when none did."""
        return signed_by(self.accepted, content, signature)


def signed_by(accepted: Sequence[str], content: bytes, signature: bytes) -> str | None:
    """Return the short name of the key of `accepted` that made `signature` of `content`, None when none did."""
    for public in accepted:
        with _files(content, signature, public.encode()) as (signed, sign, key):
            try:
                run_command(
                    ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key, "-in", signed, "-sigfile", sign],
                    limit=LIMIT,
                    mend=MEND,
                )
            except SiteError:
                continue
            return identity(public)
    return None


def site_keys(directory: str) -> Keys | None:
    """Return the keys of the site whose database is in `directory`; None when it has none, and so signs and checks nothing.

    Raises SiteError when the public key is there and the private one is not.
    """
    pki = os.path.join(directory, DIRECTORY)
    accepted = keys_of(os.path.join(pki, PUBLIC))
    if not accepted:
        brought = keys_of(os.path.join(pki, BROUGHT))
        return Keys("", brought) if brought else None
    private = os.path.join(pki, KEY)
    if not os.path.isfile(private):
        what = f"the key of {os.path.join(pki, PUBLIC)} is not there"
        raise SiteError.of(private, what, "Put it back, or run the module image_key with a higher serial, which makes another one")
    return Keys(private, (*accepted, *keys_of(os.path.join(pki, TRUSTED))))
