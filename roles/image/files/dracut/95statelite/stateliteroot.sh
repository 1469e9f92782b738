#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# dracut's handler of netroot=statelite:…: a root in memory, from the packed image that imgurl= names.
# Called with network interface, netroot and the place of the new root. It comes back only when the root is there.

set -u
here=${STATELITE_PARTS:-/usr/lib/statelite}
NEWROOT=$3
CONSOLE=${STATELITE_CONSOLE:-/dev/console}
RUN=/run/statelite
TAB=$(printf '\t')
CA=/etc/statelite/ca.pem
export CONSOLE RUN TAB CA NEWROOT

for part in words service memory; do
    # shellcheck source=/dev/null  # the parts beside this file
    . "$here/$part.sh"
done

mkdir -p "$RUN"
read_words
read_image_words
set_clock
wait=5
until bring_root; do
    clear_root
    say "root image: $TROUBLE"
    report_failure image "$TROUBLE"
    say "root image: again in $wait s"
    sleep "$wait"
    wait=$((wait * 2))
    [ "$wait" -le "$LONGEST_WAIT" ] || wait=$LONGEST_WAIT
done
