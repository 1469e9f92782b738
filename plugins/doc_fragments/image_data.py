# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that genimage, image_builder and generation_fetch share: what goes into every image."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  dracut_module:
    description: Directory of the node agent's dracut module.
    type: path
    default: /usr/share/statelite/dracut/95statelite
  rootfs:
    description: Directory of files that go into every image, as if it were its root; empty for none.
    type: str
    default: /usr/share/statelite/rootfs
  share:
    description: Directory whose C(pkglist) holds the default package lists, for images that name none.
    type: path
    default: /usr/share/statelite
  ca:
    description: The site's certificate authority, which nodes trust; empty for none.
    type: str
    default: /etc/statelite/pki/ca.pem
  authorized_keys:
    description: Public keys that may log in as root on nodes; empty for none.
    type: str
    default: /etc/statelite/ssh/id_ed25519.pub
  root_hash_file:
    description:
      - File on the managed machine whose only line is root's password on nodes as a crypt(3) hash.
      - Empty leaves root without a password, so that only the keys let in.
    type: str
    default: ""
"""
