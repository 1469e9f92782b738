#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What the entries became, for somebody who foretold it (kernel word statelite.prove). Runs in the node's root (chroot).
# Reads /.statelite/system/{plan,results}; writes /.statelite/proof, in the form that docs/boot-plan.md gives. Whatever goes
# wrong ends it before the proof is called whole.

set -eu
export LC_ALL=C
TAB=$(printf '\t')
S=/.statelite
P=$S/proof

taken() { # $1 file of /proc -> $2; the shell's own words, so that taking it reads nothing over the network
    while IFS= read -r line; do
        printf '%s\n' "$line"
    done < "$1" > "$2"
}

case ${1:-} in
    files) # the paths follow
        shift
        exec find -H "$@" -type f -print0
        ;;
    shown) # find's word for links, how deep it goes, the paths; six fields a path, NUL after each
        follow=$2 depth=$3
        shift 3
        exec find "$follow" "$@" -maxdepth "$depth" -printf '%y\0%m\0%U:%G\0%p\0%l\0' '(' -writable -printf 'w\0' -o -printf '-\0' ')'
        ;;
esac

leads_away() { # $1 path: 0 when it is a link to what the node mounts for itself
    [ -L "$1" ] || return 1
    case $(realpath -m -- "$1")/ in
        /dev/* | /proc/* | /run/* | /sys/*) ;;
        *) return 1 ;;
    esac
}

there() { # $1 path, to be looked at as $2: a link that leads nowhere is there too
    if [ -e "$1" ] || [ -L "$1" ]; then printf '%s\0' "$1" >> "$P/$2"; fi
}

top() { # $1 path: where it leads is noted even when nothing is there
    printf '%s\0' "$1" >> "$P/tops"
    there "$1" followed
}

looked_at() { # every path with what lies below it, those of the identity too; what stands or leads elsewhere, as itself
    : > "$P/tops"
    : > "$P/followed"
    : > "$P/standing"
    while IFS=$TAB read -r word path _ _ _ _ parent _; do
        case $word-$parent in
            entry--) if leads_away "$path"; then there "$path" standing; else top "$path"; fi ;;
            stands-*) there "$path" standing ;;
        esac
    done < "$S/system/plan"
    for path in /etc/hostname /etc/machine-id /etc/resolv.conf; do
        top "$path"
    done
}

tried() { # $1 path -> answer: what a real write there is told; names, contents, modes and times stay
    if [ -d "$1" ]; then
        touch -r "$1" "$P/times"
        answer=$(mkdir -- "$1/.statelite-probe" 2>&1) || return 0
        rmdir -- "$1/.statelite-probe"
        touch -r "$P/times" -- "$1"
    elif [ -f "$1" ]; then
        # Opened for more, and nothing added.
        answer=$({ true >> "$1"; } 2>&1) || return 0
    else
        answer='no file or directory'
        return 0
    fi
    answer=written
}

mkdir -p "$P"
taken /proc/self/mountstats "$P/mountstats"
taken /proc/self/mountinfo "$P/mounts"
cp "$S/system/plan" "$S/system/results" "$P"
looked_at
{
    xargs -0 -r sh "$0" shown -H 1000 < "$P/followed"
    xargs -0 -r sh "$0" shown -P 0 < "$P/standing"
} > "$P/paths" 2> "$P/trouble"
xargs -0 realpath -zm -- < "$P/tops" > "$P/leads"
xargs -0 -r sh "$0" files < "$P/followed" > "$P/files" 2>> "$P/trouble"
xargs -0 -r sha256sum -z -- < "$P/files" > "$P/digests"
while IFS=$TAB read -r word path _; do
    if [ "$word" = entry ]; then
        tried "$path"
        printf '%s\0%s\0' "$path" "${answer##*: }"
    fi
done < "$S/system/plan" > "$P/writes"
: > "$P/whole"
