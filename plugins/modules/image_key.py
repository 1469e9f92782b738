#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: have the key by which the site signs its images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_key
short_description: Have the key by which the site signs its images
version_added: 0.1.0
description:
  - Makes an Ed25519 key with openssl, in C(pki/image.key) and C(pki/image.pem) beside the site database.
  - From then on every generation that is published gets a signed manifest, and nodeset, M(diskless.statelite.generation) and
    M(diskless.statelite.image_import) refuse one whose signature is missing or wrong, or whose files are not those that were signed.
  - Generations that were published before the site had a key are sealed with M(diskless.statelite.generation) and its option C(seal).
  - Another key is made when O(serial) is raised. What a former key signed is still accepted, unless O(keep_former=false).
  - Needs openssl 3.
author: diskless.statelite contributors (!UNKNOWN)
extends_documentation_fragment:
  - diskless.statelite.attributes
options:
  directory:
    description: Directory of the keys; it has to be the directory C(pki) beside the site database.
    type: path
    default: /etc/statelite/pki
  serial:
    description: The how manieth key of the site it is.
    type: int
    default: 1
  keep_former:
    description: Whether signatures by former keys are accepted. Without them generations that they signed have to be sealed again.
    type: bool
    default: true
  trusted:
    description:
      - Files with public keys of other sites (their C(pki/image.pem)), whose bundles may be imported here.
      - Given, it is the whole list; omitted, the keys stay that are there.
    type: list
    elements: path
seealso:
  - module: diskless.statelite.generation
  - module: diskless.statelite.image_import
"""

EXAMPLES = r"""
- name: Images are signed
  diskless.statelite.image_key:

- name: Somebody saw the key, make another one and accept nothing that the former one signed
  diskless.statelite.image_key:
    serial: 2
    keep_former: false

- name: Bundles of the site in London may be imported
  diskless.statelite.image_key:
    trusted: [/root/london-image.pem]
"""

RETURN = r"""
public_key:
  description: File with the site's public key, and former ones after it.
  returned: success
  type: str
  sample: /etc/statelite/pki/image.pem
serial:
  description: Which key of the site it is.
  returned: success
  type: int
  sample: 1
former:
  description: Short names of former keys that are accepted.
  returned: success
  type: list
  elements: str
  sample: ["9f86d081884c7d65"]
trusted:
  description: Short names of the keys of other sites.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.imagekey import SPEC, plan_key


def main() -> None:
    run(SPEC, plan_key)


if __name__ == "__main__":
    main()
