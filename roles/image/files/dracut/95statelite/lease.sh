#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The address outlives dracut's DHCP client: kept for good by the kernel, renewed at the server by a unit. Sourced by agent.sh.

MANAGED=${STATELITE_MANAGED:-/run/NetworkManager}

keep_address() {
    for file in /tmp/dhclient.*.lease; do
        [ -s "$file" ] || continue
        interface=${file#/tmp/dhclient.}
        interface=${interface%.lease}
        # Dracut's client, renewing once more, would give the address the lifetime of a lease again. It must end without a word.
        if [ -s "/tmp/dhclient.$interface.pid" ]; then
            read -r client < "/tmp/dhclient.$interface.pid"
            kill -KILL "$client" 2> /dev/null || :
        fi
        keep_for_good "$interface"
        hand_over "$interface" "$file"
    done
    [ ! -d "$MANAGED/devices" ] || keep_managed
}

keep_managed() { # NetworkManager of the initramfs ends and leaves the address; that of the root must let this interface alone
    # Dracut's own unit, and NetworkManager's (since 1.54), which newer dracuts take.
    for unit in nm-initrd NetworkManager-initrd; do
        systemctl stop "$unit.service" > /dev/null 2>&1 || :
    done
    mkdir -p "$MANAGED/conf.d"
    for state in "$MANAGED"/devices/*; do
        grep -q '^connection-uuid=' "$state" 2> /dev/null || continue
        for place in "${STATELITE_NET:-/sys/class/net}"/*; do
            read -r index < "$place/ifindex" || continue
            [ "$index" = "${state##*/}" ] || continue
            interface=${place##*/}
            keep_for_good "$interface"
            printf '[device-statelite-%s]\nmatch-device=interface-name:%s\nmanaged=0\n' "$interface" "$interface" \
                > "$MANAGED/conf.d/95-statelite-$interface.conf"
            rm -f "$state"
            hand_over "$interface" ''
        done
    done
    rm -f "$MANAGED"/system-connections/*
}

keep_for_good() { # $1 interface: the root, and every file of it, comes over its address, which must not go when a lease ends
    ip -4 -o addr show dev "$1" scope global | sed -n 's/.* inet \([^ ]*\) .*/\1/p' > "$RUN/addresses"
    while read -r address; do
        ip addr change "$address" dev "$1" valid_lft forever preferred_lft forever || say "$address on $1 keeps its lifetime"
    done < "$RUN/addresses"
}

hand_over() { # $1 interface, $2 lease file, or nothing when another client had it: a unit in /run, which the node's own systemd takes over
    client=''
    for path in /sbin/dhclient /usr/sbin/dhclient; do
        [ ! -x "$NEWROOT$path" ] || client=$path
    done
    if [ -z "$client" ]; then
        note "the image has no dhclient: the lease of $1 is not renewed, its address stays"
        return 0
    fi
    units=/run/systemd/system
    mkdir -p /run/statelite "$units/multi-user.target.wants"
    [ -z "$2" ] || cp "$2" "/run/statelite/dhclient.$1.lease"
    printf '%s\n' '#!/bin/sh' '# Renewed leases change nothing here: the root is mounted over this address (see docs/boot-plan.md).' 'exit 0' \
        > /run/statelite/lease-script
    chmod 0755 /run/statelite/lease-script
    cat > "$units/statelite-lease@.service" << 'UNIT'
[Unit]
Description=DHCP lease of %i, taken over from the initramfs
DefaultDependencies=no
After=systemd-remount-fs.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
UNIT
    printf 'ExecStart=-%s -4 -d -q -cf /dev/null -sf /run/statelite/lease-script -pf /run/statelite/dhclient.%%i.pid -lf /run/statelite/dhclient.%%i.lease %%i\n' \
        "$client" >> "$units/statelite-lease@.service"
    printf 'Restart=always\nRestartSec=60\nTimeoutStopSec=5\n' >> "$units/statelite-lease@.service"
    ln -sf ../statelite-lease@.service "$units/multi-user.target.wants/statelite-lease@$1.service"
}
