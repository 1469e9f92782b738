#!/usr/bin/python
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the certificate of the answer service and its CA."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Keep the certificate of the answer service and its CA
version_added: 0.1.0
description:
  - Makes the site's CA once, and a server certificate that holds every address at which nodes reach the answer service.
  - The certificate is issued again when an address or name is added or dropped, when its key does not fit, and before it expires.
  - Both are valid since the day before they are made, because a node's clock may be behind.
  - Images carry C(ca.pem); the CA is kept as long as it is valid, so that images built before go on trusting the service.
  - C(ca.pem) holds every CA that nodes accept, first the one that issues. O(rotation) lets one CA follow another in three steps.
author:
  - diskless.statelite contributors (!UNKNOWN)
requirements:
  - openssl 1.1.1 or newer
options:
  directory:
    description: Directory of C(ca.pem), C(ca.key), C(server.pem) and C(server.key); made when it is missing.
    type: path
    default: /etc/statelite/pki
  authority:
    description:
      - Directory of the CA that issues, when it is another one than O(directory), for the certificate of a service node that the
        management node makes. That CA is neither made nor changed, and O(rotation) is V(keep).
    type: path
  common_name:
    description: Name that the certificate is for, usually the management node's.
    type: str
    required: true
  addresses:
    description: Every address that the kernel word C(XCAT=) can hold for a node of the site.
    type: list
    elements: str
    required: true
  names:
    description: Host names of the service, for clients that use one.
    type: list
    elements: str
    default: []
  group:
    description: Group that reads C(server.key).
    type: str
    default: statelite
  days:
    description: Days that the server certificate is valid from now.
    type: int
    default: 397
  ca_days:
    description: Days that the CA is valid from now.
    type: int
    default: 3650
  renew_days:
    description: How many days before it expires a certificate is issued again.
    type: int
    default: 30
  rotation:
    description:
      - Step of the way from one CA to the next. Each is done once; done again it changes nothing.
      - V(keep) takes no step. A CA that expires within O(renew_days) is replaced at once all the same, by its successor if there is one.
      - V(add) makes the next CA, C(ca-next.pem), and adds it to C(ca.pem); the server certificate stays as it is.
        Build the images again and let the nodes boot from them before the next step.
      - V(switch) issues the server certificate from the next CA; the one before stays in C(ca.pem).
      - V(drop) takes the CA before out of C(ca.pem); nodes of images that hold nothing else no longer trust the service.
    type: str
    choices: [keep, add, switch, drop]
    default: keep
attributes:
  check_mode:
    description: Says what would be issued and why, and writes nothing.
    support: full
  diff_mode:
    description: Shows the same as text; never a key.
    support: full
"""

EXAMPLES = r"""
- name: The certificate of the answer service
  diskless.statelite.certificate:
    common_name: mn1
    addresses:
      - 10.1.0.1
      - fd00:1::1

- name: The next CA is made known to nodes, before anything is issued from it
  diskless.statelite.certificate:
    common_name: mn1
    addresses: [10.1.0.1]
    rotation: add
"""

RETURN = r"""
ca:
  description: Path of the CA's certificate, which images carry.
  returned: success
  type: str
  sample: /etc/statelite/pki/ca.pem
certificate:
  description: Path of the server certificate.
  returned: success
  type: str
  sample: /etc/statelite/pki/server.pem
key:
  description: Path of its key.
  returned: success
  type: str
  sample: /etc/statelite/pki/server.key
common_name:
  description: Name that the certificate is for.
  returned: success
  type: str
  sample: mn1
addresses:
  description: Addresses that the certificate holds.
  returned: success
  type: list
  elements: str
  sample: ["10.1.0.1"]
expires:
  description: When the server certificate expires; in check mode that of the certificate that is there.
  returned: success
  type: str
  sample: "2027-12-24T08:00:00Z"
ca_expires:
  description: When the CA expires.
  returned: success
  type: str
  sample: "2036-11-19T08:00:00Z"
"""

from ansible_collections.diskless.statelite.plugins.module_utils.module import run
from ansible_collections.diskless.statelite.plugins.module_utils.serve.certificate import SPEC, plan_certificate


def main() -> None:
    run(SPEC, plan_certificate)


if __name__ == "__main__":
    main()
