#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# cmdline hook, after NFS has looked at root=: imgurl=URL makes a root of our own, which stateliteroot.sh fetches when the network is up.

# shellcheck source=/dev/null  # dracut's own, in the initramfs
type getarg > /dev/null 2>&1 || . /lib/dracut-lib.sh

if [ -n "$(getarg imgurl=)" ]; then
    [ -z "$(getarg root=)" ] || die "imgurl= and root= name two root images: keep one of the two words"
    export root=statelite netroot=statelite:imgurl rootok=1
    # shellcheck disable=SC2016,SC2154  # for dracut's own loop
    echo '[ -e $NEWROOT/proc ]' > "$hookdir/initqueue/finished/statelite.sh"
fi
