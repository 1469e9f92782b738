#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The node's own disk: found by the site's label and by nothing else, formatted only where the site lists the device and it
# holds no signature of anything. Sourced by agent.sh.

DISK_LIMIT=600 # seconds that a check of the file system, making one, or mounting it may take
LOOK_LIMIT=60  # seconds that a look into one of several may take

labelled() { # $1 label: the devices that have a file system with it, one a line
    timeout 60 blkid -c /dev/null -t "LABEL=$1" -o device 2> /dev/null < /dev/null | while read -r device; do
        # What another device is made of (a path of a multipath disk, a half of a mirror) is that device's to show.
        empty_directory "/sys/class/block/${device##*/}/holders" || continue
        [ "$(probed "$device" USAGE)" != filesystem ] || printf '%s\n' "$device"
    done
}

probed() { # $1 device, $2 name: what a probe of the device says
    timeout 60 blkid -p -s "$2" -o value "$1" 2> /dev/null < /dev/null
}

empty_directory() { # $1 directory: 0 also when there is none
    for inside in "$1"/*; do
        [ ! -e "$inside" ] || return 1
    done
}

look_for_disk() { # $1 label, $2 seconds: waits that long for one to show up; sets FOUND to the devices
    [ -z "$(command -v udevadm)" ] || timeout $(($2 + 5)) udevadm settle --timeout="$2" < /dev/null >> "$LOG" 2>&1 || :
    until_then=$(($(seconds_now) + $2)) waiting=no
    while :; do
        FOUND=$(labelled "$1" | tr '\n' ' ')
        FOUND=${FOUND% }
        if [ -n "$FOUND" ] || [ "$(seconds_now)" -ge "$until_then" ]; then
            return 0
        fi
        [ "$waiting" = yes ] || say "local disk: looking for the label $1 for $2 s"
        waiting=yes
        sleep 1
    done
}

obstacle() { # $1 kernel's name of a device: why it must not be formatted; nothing when it may
    of=/sys/class/block/$1
    if [ ! -d "$of" ] || [ ! -b "/dev/$1" ]; then
        echo 'is no block device'
        return
    fi
    read -r size < "$of/size"
    read -r fixed < "$of/ro"
    read -r numbers < "$of/dev"
    if [ "$size" = 0 ]; then
        echo 'has no medium'
    elif [ "$fixed" != 0 ]; then
        echo 'is read-only'
    elif ! empty_directory "$of/holders"; then
        echo 'is part of another device'
    elif cut -d ' ' -f 3 /proc/self/mountinfo | grep -q -x "$numbers" || grep -q "^/dev/$1[[:blank:]]" /proc/swaps; then
        echo 'is in use'
    elif ls "$of"/*/partition > /dev/null 2>&1; then
        echo 'has partitions'
    else
        content_of "/dev/$1"
    fi
}

content_of() { # $1 device: what is on it, as two tools see it; a device that can't be read counts as full
    if ! said=$(timeout 60 dd if="$1" of=/dev/null bs=65536 count=16 2>&1 < /dev/null); then
        printf "can't be read: %s\n" "$said" | tr '\n' ' '
        return
    fi
    # 2: nothing was found. What stands about a partition in its disk's table is no content of it.
    said=$(timeout 60 blkid -p -o export "$1" 2>&1 < /dev/null)
    answer=$?
    said=$(printf '%s\n' "$said" | grep -v -e '^$' -e '^DEVNAME=' -e '^PART_ENTRY_')
    if [ -n "$said" ] || { [ "$answer" != 2 ] && [ "$answer" != 0 ]; }; then
        printf 'holds something (%s)\n' "$(printf '%s' "${said:-blkid is not sure what}" | tr '\n' ' ')"
        return
    fi
    if ! said=$(timeout 60 wipefs -n "$1" 2>&1 < /dev/null) || [ -n "$said" ]; then
        printf 'holds something (%s)\n' "$(printf '%s' "${said:-wipefs is not sure what}" | tr '\n' ' ')"
    fi
}

format_listed() { # $1 label, $2 comma list of devices: the first one that may be is formatted; sets FOUND to it, or TROUBLE
    TROUBLE='' unseen=''
    for listed in $(printf '%s' "$2" | tr ',' ' '); do
        device=$(readlink -f -- "$listed")
        if [ ! -e "$listed" ] || [ -z "$device" ]; then
            why='is not there'
        else
            case $device in
                /dev/*) why=$(obstacle "${device#/dev/}") ;;
                *) why='is no device' ;;
            esac
        fi
        case $why in
            '') [ -z "$unseen" ] || why="comes after $unseen, which may hold what the node kept: take that one off the list when it is gone for good" ;;
            'is not there' | 'has no medium' | "can't be read"*) unseen=${unseen:-$listed} ;;
        esac
        if [ -n "$why" ]; then
            say "local disk: $listed is not formatted: it $why"
            TROUBLE="$TROUBLE; $listed $why"
            continue
        fi
        look_for_disk "$1" 0 # one may have shown up since
        [ -z "$FOUND" ] || return 1
        say "local disk: formatting $listed ($device): the site lists it, and there is nothing on it"
        if said=$(timeout "$DISK_LIMIT" mkfs.ext4 -q -L "$1" "$device" 2>&1 < /dev/null) && [ "$(probed "$device" LABEL)" = "$1" ]; then
            FOUND=$device
            return 0
        fi
        TROUBLE="; $listed could not be formatted: ${said:-it has no label afterwards}"
        return 1
    done
    return 1
}

holds_own() { # $1 device: 0 when the node's own directory is on it, 1 when it is not, 2 when it can't be seen (TROUBLE); nothing is written
    kind=$(probed "$1" TYPE)
    case $kind in
        ext4) quiet=ro,noload ;;
        xfs) quiet=ro,norecovery,nouuid ;;
        *) return 1 ;; # no node ever kept anything there
    esac
    modprobe -q "$kind" 2> /dev/null || :
    mkdir -p "$RUN/disk"
    TROUBLE=$(timeout "$LOOK_LIMIT" mount -t "$kind" -o "$quiet" "$1" "$RUN/disk" 2>&1 < /dev/null) || return 2
    said=$(timeout "$LOOK_LIMIT" ls -d "$RUN/disk/statelite/$NODE.$OWN_ID" 2>&1 < /dev/null)
    case $?-$said in
        0-*) held=0 ;;
        *'No such file'*) held=1 ;;
        *) held=2 TROUBLE=${said:-no answer} ;;
    esac
    umount "$RUN/disk" || held=2
    return "$held"
}

own_of_several() { # $1 label: of the devices in FOUND the only one that holds the node's own directory; sets FOUND, or TROUBLE
    owner='' why="none of them holds statelite/$NODE.$OWN_ID"
    for device in $FOUND; do
        holds_own "$device"
        case $? in
            0)
                [ -z "$owner" ] || why="$owner and $device hold statelite/$NODE.$OWN_ID" owner=several
                owner=${owner:-$device}
                ;;
            2)
                why="$device can't be looked into ($TROUBLE)" owner=several
                break
                ;;
        esac
    done
    case $owner in
        '' | several)
            TROUBLE="several file systems have the label $1 ($FOUND), and $why: give all but one another label"
            return 1
            ;;
    esac
    TAKEN="the one of several with the label ($FOUND) that holds what this node kept: give the others another label"
    say "local disk: $owner is $TAKEN"
    FOUND=$owner
}

check_disk() { # $1 device, $2 type: what a boot may mend by itself is mended; else 1 and TROUBLE
    read -r fixed < "/sys/class/block/${1##*/}/ro"
    if [ "$fixed" != 0 ]; then
        TROUBLE="$1 is read-only"
        return 1
    fi
    [ "$2" = ext4 ] || return 0 # xfs looks after itself when it is mounted
    if [ -z "$(command -v e2fsck)" ]; then
        say "local disk: $1 is not checked: the initramfs has no e2fsck"
        return 0
    fi
    timeout "$DISK_LIMIT" e2fsck -p "$1" > "$RUN/fsck" 2>&1 < /dev/null
    answer=$?
    cat "$RUN/fsck" >> "$LOG"
    # 1 and 2: mended; it is not mounted yet, so nothing has to start again.
    [ "$answer" -gt 2 ] || return 0
    TROUBLE="$1 is not in order (e2fsck: $answer): $(tail -n 3 "$RUN/fsck")"
    [ "$answer" != 124 ] || TROUBLE="the check of $1 did not end in $DISK_LIMIT s"
    return 1
}

open_disk() { # $1 label, $2 options, $3 seconds, $4 devices that may be formatted or -; sets FOUND, TROUBLE, FORMATTED and TAKEN
    FOUND='' FORMATTED=no TAKEN=''
    if [ -z "$(command -v blkid)" ]; then
        TROUBLE='the initramfs has no blkid: add util-linux to the package list'
        return 1
    fi
    look_for_disk "$1" "$3"
    if [ -z "$FOUND" ]; then
        TROUBLE="; the site lists no device that may be formatted"
        if [ "$4" != - ] && [ "$ORIGIN" != service ]; then
            TROUBLE="; nothing is formatted without the answer service"
        elif [ "$4" != - ] && [ -z "$(command -v mkfs.ext4)" ]; then
            TROUBLE="; the initramfs has no mkfs.ext4: add e2fsprogs to the package list"
        elif [ "$4" != - ]; then
            format_listed "$1" "$4" && FORMATTED=yes
        fi
        if [ -z "$FOUND" ]; then
            TROUBLE="no file system has the label $1$TROUBLE"
            return 1
        fi
    fi
    case $FOUND in
        *' '*) own_of_several "$1" || return 1 ;;
    esac
    kind=$(probed "$FOUND" TYPE)
    case $kind in
        ext4 | xfs) ;;
        *)
            TROUBLE="$FOUND has the label $1 and is ${kind:-of no type}, not ext4 or xfs"
            return 1
            ;;
    esac
    modprobe -q "$kind" 2> /dev/null || :
    check_disk "$FOUND" "$kind" || return 1
    mkdir -p "$RUN/disk" "$S/localdisk"
    # Without -w a disk that takes no writes would be mounted all the same, read-only.
    TROUBLE=$(timeout "$DISK_LIMIT" mount -t "$kind" -w -o "$2" "$FOUND" "$RUN/disk" 2>&1 < /dev/null) || {
        TROUBLE="$FOUND can't be mounted: $TROUBLE"
        return 1
    }
    enter_disk
    answer=$?
    umount "$RUN/disk"
    return "$answer"
}

enter_disk() { # the node's own directory of the mounted disk at /.statelite/localdisk; what others left there stays out of sight
    own=$RUN/disk/statelite/$NODE.$OWN_ID
    for other in "$RUN/disk/statelite"/*; do
        [ ! -e "$other" ] || [ "$other" = "$own" ] || note "local disk: $FOUND also holds what ${other##*/} kept"
    done
    TROUBLE=$(mkdir -p "$own" 2>&1 && mount --bind "$own" "$S/localdisk" 2>&1) || {
        TROUBLE="$FOUND: $TROUBLE"
        return 1
    }
}

mount_disk() { # $1 label, $2 options, $3 seconds, $4 devices that may be formatted or -; what became of it goes to $S/system/disk
    if open_disk "$@"; then
        told=${TAKEN:--}
        [ "$FORMATTED" = no ] || told=formatted
        note "local disk: $FOUND (label $1) at /.statelite/localdisk"
        printf 'mounted\t%s\t%s\t%s\n' "$FOUND" "$1" "$told" > "$S/system/disk"
    else
        TROUBLE=$(printf '%s' "$TROUBLE" | tr '\n\t' '  ')
        say "local disk: $TROUBLE"
        printf 'failed\t%s\t%s\t%s\n' "${FOUND:--}" "$1" "$TROUBLE" > "$S/system/disk"
        # Every entry that should be kept there fails for this reason.
        printf 'the local disk: %s\n' "$TROUBLE" > "$S/system/nodisk"
    fi
}
