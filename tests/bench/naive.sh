#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The plain way to carry a litefile table out on a node, row by row, for the bench to measure the agent against: every
# ancestor of every row is looked up in the table (two forks each), and every row is copied, linked and mounted by itself.
# $1 the table: PATH<TAB>KIND<TAB>STORAGE<TAB>link or bind. Run in the node's root, where /.statelite is a tmpfs.

set -u
TAB=$(printf '\t')
table=$(cat "$1")
levels='/.statelite/mnt/first /.statelite/mnt/second'
state=/.statelite/persistent/n1

first_source() { # the first level that has the path, else the image
    source=/.default$path
    for level in $levels; do
        if [ "$kind" = d ]; then
            if [ -d "$level$path" ] && [ -n "$(ls -A "$level$path")" ]; then
                source=$level$path
                break
            fi
        elif [ -e "$level$path" ]; then
            source=$level$path
            break
        fi
    done
}

fill() { # $1 place: a copy of the first source
    first_source
    mkdir -p "$(dirname "$1")"
    cp -aHT "$source" "$1"
}

keep() { # $1 place: as fill, once
    if [ ! -e "$1" ]; then
        fill "$1.new"
        mv -T "$1.new" "$1"
    fi
}

join() { # $1 place: every source's piece
    mkdir -p "$(dirname "$1")"
    rm -f "$1"
    for source in /.default $levels; do
        if [ -f "$source$path" ]; then
            if [ -e "$1" ]; then
                cat "$source$path" >> "$1"
            else
                cp -aHT "$source$path" "$1"
            fi
        fi
    done
}

reach() { # $1 place: the path leads there
    if [ "$attachment" = bind ]; then
        if [ "$kind" = d ]; then
            mkdir -p "$path"
        elif [ ! -e "$path" ]; then
            mkdir -p "$(dirname "$path")"
            touch "$path"
        fi
        mount --bind "$1" "$path"
        [ "$storage" != ro ] || mount -o remount,bind,ro "$path"
    elif [ "$1" != "/.statelite/tmpfs$path" ]; then
        mkdir -p "$(dirname "/.statelite/tmpfs$path")"
        ln -sfn "$1" "/.statelite/tmpfs$path"
    fi
}

while IFS=$TAB read -r path kind storage attachment; do
    inside=''
    above=${path%/*}
    while [ -n "$above" ]; do
        if echo "$table" | grep -q "^$above$TAB"; then
            [ -n "$inside" ] || inside=$above
        fi
        above=${above%/*}
    done
    if [ -n "$inside" ]; then
        outer=$(echo "$table" | grep "^$inside$TAB" | cut -f 3)
        attachment=bind
        area=/.statelite/system/below
    else
        outer=''
        area=/.statelite/tmpfs
        [ "$attachment" = link ] || area=/.statelite/system/bound
    fi
    case $storage-$outer in
        tmpfs-tmpfs) [ -e "$path" ] || fill "$path" ;;
        con-tmpfs) join "$path" ;;
        persistent-persistent) keep "$path" ;;
        tmpfs-*) fill "$area$path"; reach "$area$path" ;;
        con-*) join "$area$path"; reach "$area$path" ;;
        persistent-*) keep "$state$path"; reach "$state$path" ;;
        ro-*) first_source; reach "$source" ;;
    esac
    echo "$path$TAB$kind" >> /.statelite/done
done < "$1"
