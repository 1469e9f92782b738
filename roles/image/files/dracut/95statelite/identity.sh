#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Machine-id, hostname, resolv.conf and mtab of this node. Sourced by agent.sh.

inside() { # $1 path -> $there: where it is seen from here; a link in the root means what it means in the root
    there=$NEWROOT$(chroot "$NEWROOT" readlink -f -- "$1") && [ "$there" != "$NEWROOT" ]
}

bind_over() { # $1 path below the root: what is written in /.statelite/system stands there, read-only root or not
    if inside "${1%/*}" && [ -e "$there/${1##*/}" ] && [ ! -L "$there/${1##*/}" ]; then
        if [ -e "$RUN/stateless" ]; then
            # The root is this node's own: its services may replace the file.
            cp -p "$S/system/${1##*/}" "$there/${1##*/}" || say "$1 can't be written"
        else
            mount --bind "$S/system/${1##*/}" "$there/${1##*/}" || say "$1 can't be mounted over"
        fi
    else
        note "$1 is left as the image has it"
    fi
}

listed() { # $1 path: 0 when the plan has an entry for it
    grep -q "^entry$TAB$1$TAB" "$PLAN"
}

source_of() { # $1 path -> where its content came from
    sed -n "s|^$1${TAB}done$TAB\\([^$TAB]*\\)$TAB.*|\\1|p" "$RUN/work/results"
}

write_identity() { # before the entries, which may leave no room
    while IFS=$TAB read -r kind value _; do
        case $kind in
            machine-id) id=$value ;;
            hostname) name=$value ;;
        esac
    done < "$PLAN"
    printf '%s\n' "$id" > "$S/system/machine-id"
    chmod 0444 "$S/system/machine-id"
    printf '%s\n' "$name" > "$S/system/hostname"
    [ ! -w /proc/sys/kernel/hostname ] || printf '%s\n' "$name" > /proc/sys/kernel/hostname
    dhcp_resolver > "$S/system/resolv.conf" || :
    chmod 0644 "$S/system/resolv.conf"
}

set_identity() {
    for file in machine-id hostname; do
        listed "/etc/$file" || bind_over "/etc/$file"
    done
    set_resolver
}

link_mounts() { # what is mounted is the kernel's to say: a file where a volatile /etc/mtab is kept becomes a link to that
    while IFS=$TAB read -r kind place _; do
        [ "$kind" = mounts ] || continue
        there=$S/$place
        # What is bound and lies over its source is seen at its own path alone.
        case $place in
            system/b*) [ -e "$there" ] || [ -L "$there" ] || { place=/${place#system/*/} && inside "${place%/*}" && there=$there/${place##*/}; } ;;
        esac
        if [ -f "$there" ] && [ ! -L "$there" ]; then
            ln -sf /proc/self/mounts "$there" || note '/etc/mtab is left as it is'
        fi
    done < "$PLAN"
}

dhcp_resolver() { # what DHCP said, from where dracut's client left it; who wrote it there is no longer so on the node
    if [ -s /etc/resolv.conf ]; then
        sed '/^#/d' /etc/resolv.conf
    elif [ -s "$MANAGED/no-stub-resolv.conf" ]; then
        sed '/^#/d' "$MANAGED/no-stub-resolv.conf"
    else
        cat /tmp/net.*.resolv.conf 2> /dev/null
    fi
}

set_resolver() { # listed and found in a level or in the state: that; a link: left; else what DHCP said, or what the image has
    if listed /etc/resolv.conf; then
        [ -s "$S/system/resolv.conf" ] || return 0
        case $(source_of /etc/resolv.conf) in
            default | created)
                { inside /etc/resolv.conf && cat "$S/system/resolv.conf" > "$there"; } 2> /dev/null || note '/etc/resolv.conf is not writable'
                ;;
        esac
        return 0
    fi
    inside /etc || return 0
    # A listed /etc that a level brought has that level's file.
    if listed /etc; then
        case $(source_of /etc) in
            default | created | kept) ;;
            *) [ ! -s "$there/resolv.conf" ] || return 0 ;;
        esac
    fi
    # Whether DHCP says something or not, the node has a file of its own there.
    if [ ! -s "$S/system/resolv.conf" ] && [ ! -L "$there/resolv.conf" ] && [ -f "$there/resolv.conf" ]; then
        cat "$there/resolv.conf" > "$S/system/resolv.conf"
    fi
    bind_over /etc/resolv.conf
}
