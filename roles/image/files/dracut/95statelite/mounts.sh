#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# /.statelite, the node's state and the levels. Sourced by agent.sh.

TROUBLE=''
LEVEL_WAIT=60 # seconds that a level, or the state, may take until it is mounted
NL='
'
export TROUBLE

mount_statelite() {
    # systemd, where the initramfs has it, shares mounts: one made over a part of the state would be in every view of it. The node's own shares them again.
    mount --make-rprivate "$NEWROOT" || return 1
    mount -t tmpfs -o size=25%,mode=0755 statelite "$S" || return 1
    mkdir -p "$S/tmpfs" "$S/persistent" "$S/mnt" "$S/image" "$S/system/work" "$S/system/bound" "$S/system/below"
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
    TROUBLE=$(timeout -k 5 60 mount -t nfs -o "$3" "$address:${2%/}/$NODE" "$point" 2>&1) || {
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

wait_for_levels() { # $1 seconds, as in the plan
    case $1 in '' | *[!0-9]*) say "levels are waited for $LEVEL_WAIT s ($1 refused)" ;; *) LEVEL_WAIT=$1 ;; esac
}

seconds_now() {
    read -r up _ < /proc/uptime
    printf '%s' "${up%.*}"
}

in_time() { # a command: run until the time for levels is over; 124 when it is over already
    left=$((until_then - $(seconds_now)))
    [ "$left" -gt 0 ] || return 124
    [ "$left" -le "$LEVEL_WAIT" ] || left=$LEVEL_WAIT
    timeout -k 5 "$left" "$@"
}

mount_level() { # $1 number, $2 server, $3 directory, $4 options; leaves PLACE or nothing, SECONDS and MESSAGE in $RUN/level.NUMBER
    point=$S/mnt/$2$3 began=$(seconds_now) said='' ended=0
    if ! in_time mountpoint -q "$point"; then
        # A level below another one of the same server has its mount point in that level, or gets one of its own.
        in_time mkdir -p "$point" 2> /dev/null || { point=$S/mnt/.level-$1 && mkdir -p "$point"; }
        case $2 in *:*) address="[$2]" ;; *) address=$2 ;; esac
        said=$(in_time mount -t nfs -o "$4" "$address:$3" "$point" 2>&1) || ended=$?
        case $ended in 124 | 137) said="no answer within $LEVEL_WAIT s${said:+: $said}" ;; esac
        [ "$ended" = 0 ] || point=$NEWROOT-
    fi
    said=$(printf '%s' "$said" | tr '\n\t' '  ')
    printf '%s\t%s\t%s\n' "${point#"$NEWROOT"}" $(($(seconds_now) - began)) "${said:--}" > "$RUN/level.$1"
}

levels_around() { # $1 server, $2 directory: how many other directories, of levels of that server, hold it
    around=0 seen=$NL
    while IFS=$TAB read -r _ _ other above _; do
        case $other$TAB$2 in "$1$TAB${above%/}/"*) ;; *) continue ;; esac
        case $seen$2$NL in *"$NL$above$NL"*) continue ;; esac
        around=$((around + 1)) seen=$seen$above$NL
    done < "$RUN/levels"
    printf '%s' "$around"
}

first_named() { # $1 server, $2 directory: the number of the first level with both
    while IFS=$TAB read -r _ first other path _; do
        if [ "$other$TAB$path" = "$1$TAB$2" ]; then
            printf '%s' "$first"
            return
        fi
    done < "$RUN/levels"
}

mount_inside() { # $1 depth, $2 server and $3 directory of a level (depth 0: of none): side by side what lies directly in it, each before its own
    while IFS=$TAB read -r _ number server directory options _; do
        case $server$TAB$directory in "$2$TAB${3%/}/"*) ;; *) [ "$1" = 0 ] || continue ;; esac
        if [ "$(levels_around "$server" "$directory")" = "$1" ] && [ "$(first_named "$server" "$directory")" = "$number" ]; then
            {
                mount_level "$number" "$server" "$directory" "$options"
                mount_inside $(($1 + 1)) "$server" "$directory"
            } &
        fi
    done < "$RUN/levels"
    wait
}

mount_side_by_side() { # so that servers that are down cost their time once; what lies in another level comes after it, out of the same time
    # A second begun counts as none: the first ones have their whole time.
    until_then=$(($(seconds_now) + LEVEL_WAIT + 1))
    grep "^level$TAB" "$PLAN" > "$RUN/levels" || return 0
    mount_inside 0 '' ''
    # What is named twice is mounted once.
    while IFS=$TAB read -r _ number server directory _; do
        [ -e "$RUN/level.$number" ] || cp "$RUN/level.$(first_named "$server" "$directory")" "$RUN/level.$number"
    done < "$RUN/levels"
}

mount_levels() { # every level of the plan; 1 when a required one is missing
    : > "$S/system/levels"
    : > "$S/system/levels.report"
    rm -f "$RUN"/level.*
    mount_side_by_side
    missing='' TROUBLE=''
    while IFS=$TAB read -r kind number server directory _ need _; do
        [ "$kind" = level ] || continue
        place=- seconds=0 message='it was not tried'
        [ ! -s "$RUN/level.$number" ] || IFS=$TAB read -r place seconds message < "$RUN/level.$number"
        if [ "$place" != - ]; then
            printf '%s\t%s\n' "$number" "$place" >> "$S/system/levels"
            note "level $number $server:$directory at $place"
            status=mounted message=-
        else
            say "level $number $server:$directory ($need) can't be mounted, tried for $seconds s: $message"
            status=failed
            [ "$need" = optional ] || { missing="$missing $server:$directory" && TROUBLE="${TROUBLE:+$TROUBLE; }$server:$directory: $message"; }
        fi
        printf '%s\t%s\t%s:%s\t%s\t%s\n' "$number" "$status" "$server" "$directory" "$seconds" "$message" >> "$S/system/levels.report"
    done < "$PLAN"
    [ -z "$missing" ]
}
