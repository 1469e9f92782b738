#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# /.statelite, the node's state and the levels. Sourced by agent.sh.

TROUBLE=''
export TROUBLE

mount_statelite() {
    mount -t tmpfs -o size=25%,mode=0755 statelite "$S" || return 1
    mkdir -p "$S/tmpfs" "$S/persistent" "$S/mnt" "$S/image" "$S/system/work" "$S/system/bound"
    # Not recursive: below /.statelite/image nothing is mounted, so defaults of bind entries stay readable there.
    mount --bind "$NEWROOT" "$S/image"
}

inodes_for() { # $1 share in percent: inodes for that share of the memory, four pages a file
    while read -r key amount _; do
        if [ "$key" = MemTotal: ]; then
            printf '%s' $((amount * $1 / 100 / 16))
            return
        fi
    done < /proc/meminfo
}

size_statelite() { # $1 size, $2 inodes, $3 mode, as in the plan
    inodes=$2
    case $inodes in *%) inodes=$(inodes_for "${inodes%\%}") ;; esac
    mount -o "remount,size=$1,nr_inodes=$inodes,mode=$3" "$S"
}

mount_state() { # $1 server, $2 directory, $3 options: the node's own directory only
    point=$S/persistent/$NODE
    mountpoint -q "$point" && return 0
    mkdir -p "$point"
    case $1 in *:*) address="[$1]" ;; *) address=$1 ;; esac
    TROUBLE=$(timeout 60 mount -t nfs -o "$3" "$address:${2%/}/$NODE" "$point" 2>&1) || {
        say "state $1:${2%/}/$NODE can't be mounted: $TROUBLE"
        rmdir "$point" 2> /dev/null || :
        return 1
    }
    note "state $1:${2%/}/$NODE at /.statelite/persistent/$NODE"
}

view_state() { # the state once more, for entries below something that is mounted in the first view of it (nodeplan.py)
    grep -q "${TAB}system/state/" "$PLAN" || return 0
    mkdir -p "$S/system/state" && mount --bind "$S/persistent/$NODE" "$S/system/state"
}

mount_level() { # $1 number, $2 server, $3 directory, $4 options; appends number and place to the levels file
    point=$S/mnt/$2$3
    if ! mountpoint -q "$point"; then
        # A level below another one of the same server has its mount point in that level, or gets one of its own.
        mkdir -p "$point" 2> /dev/null || { point=$S/mnt/.level-$1 && mkdir -p "$point"; }
        case $2 in *:*) address="[$2]" ;; *) address=$2 ;; esac
        TROUBLE=$(timeout 60 mount -t nfs -o "$4" "$address:$3" "$point" 2>&1) || return 1
    fi
    printf '%s\t%s\n' "$1" "${point#"$NEWROOT"}" >> "$S/system/levels"
    note "level $1 $2:$3 at ${point#"$NEWROOT"}"
}

mount_levels() { # every level of the plan; 1 when a required one is missing
    : > "$S/system/levels"
    : > "$S/system/levels.report"
    missing='' TROUBLE=''
    while IFS=$TAB read -r kind number server directory options need _; do
        [ "$kind" = level ] || continue
        TROUBLE=''
        if mount_level "$number" "$server" "$directory" "$options"; then
            printf '%s\tmounted\t%s:%s\t-\n' "$number" "$server" "$directory" >> "$S/system/levels.report"
        else
            say "level $number $server:$directory ($need) can't be mounted: $TROUBLE"
            TROUBLE=$(printf '%s' "$TROUBLE" | tr '\n\t' '  ')
            printf '%s\tfailed\t%s:%s\t%s\n' "$number" "$server" "$directory" "${TROUBLE:--}" >> "$S/system/levels.report"
            [ "$need" = optional ] || missing="$missing $server:$directory"
        fi
    done < "$PLAN"
    [ -z "$missing" ]
}
