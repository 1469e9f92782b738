#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The plain way to carry a litefile table out on a node, row by row, for the bench to measure the agent against: every
# ancestor of every row is looked up in the table (two forks each), and every row is copied and mounted by itself.
# $1 the table: PATH<TAB>KIND<TAB>link or bind. Run in the node's root, where /.statelite is a tmpfs.

set -u
TAB=$(printf '\t')
table=$(cat "$1")
levels='/.statelite/mnt/first /.statelite/mnt/second'

while IFS=$TAB read -r path kind attachment; do
    inside=''
    above=${path%/*}
    while [ -n "$above" ]; do
        if echo "$table" | grep -q "^$above$TAB"; then
            inside=$above
        fi
        above=${above%/*}
    done
    source=/.default$path
    for level in $levels; do
        if [ -e "$level$path" ]; then
            source=$level$path
            break
        fi
    done
    area=/.statelite/tmpfs
    [ "$attachment" = link ] || area=/.statelite/system/bound
    if [ -z "$inside" ]; then
        mkdir -p "$(dirname "$area$path")"
        cp -aHT "$source" "$area$path"
        if [ "$attachment" = bind ]; then
            mount --bind "$area$path" "$path"
        fi
    fi
    echo "$path$TAB$kind" >> /.statelite/done
done < "$1"
