#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# cmdline hook: NFSROOT=SERVER:DIR of the statelite document becomes dracut's root=nfs:SERVER:DIR/rootimg:ro, and netdev=NIC
# (nodebootif of the image, installnic or primarynic of the node) its words for that interface.

# shellcheck source=/dev/null  # dracut's own, in the initramfs
type getarg > /dev/null 2>&1 || . /lib/dracut-lib.sh

statelite_nfsroot=$(getarg NFSROOT=)
statelite_root=$(getarg root=)

if getargbool 0 shell; then
    rm -f /etc/cmdline.d/95statelite.conf
    unset CMDLINE
fi

# Whichever card the boot loader used and says in BOOTIF=, the root is fetched by the interface that the tables name.
statelite_netdev=$(getarg netdev=)
if [ -n "$statelite_netdev" ]; then
    statelite_ip="ip=$statelite_netdev:dhcp "
    case $(getarg ip=) in "$statelite_netdev":*) statelite_ip='' ;; esac
    printf '%sbootdev=%s rd.bootif=0\n' "$statelite_ip" "$statelite_netdev" > /etc/cmdline.d/96statelite.conf
    unset CMDLINE
fi

if [ -n "$statelite_nfsroot" ]; then
    statelite_wanted="nfs:${statelite_nfsroot%/}/rootimg:ro"
    case "$statelite_root" in
        "") export root="$statelite_wanted" ;;
        "${statelite_wanted}" | "${statelite_wanted},"* | "nfs4${statelite_wanted#nfs}" | "nfs4${statelite_wanted#nfs},"*) ;;
        *) die "NFSROOT=$statelite_nfsroot and root=$statelite_root name different root images: correct one of the two words" ;;
    esac
fi
unset statelite_nfsroot statelite_root statelite_wanted statelite_netdev statelite_ip
