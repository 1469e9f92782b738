#!/bin/sh
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# A root in memory: the packed image is fetched, checked by its digest, and unpacked or mounted. Sourced by stateliteroot.sh.

HELD=$RUN/packed # a tmpfs: the packed image is here until it is unpacked, or for as long as the node runs from it
XATTRS=.statelite-xattrs.tar
export TROUBLE=''

read_image_words() { # sets the variables below from /proc/cmdline
    IMGURL='' WANTED='' ROOTLIMIT='' ROOTFLAGS=''
    tr ' ' '\n' < /proc/cmdline > "$RUN/words"
    while read -r word; do
        case $word in
            imgurl=*) IMGURL=${word#*=} ;;
            statelite.digest=sha256:*) WANTED=${word#*=sha256:} ;;
            rootlimit=*) ROOTLIMIT=${word#*=} ;;
            rootflags=*) ROOTFLAGS=${word#*=} ;;
        esac
    done < "$RUN/words"
    PACKED=$HELD/${IMGURL##*/}
}

trouble() { # $1 what went wrong, $2 file with what a tool said: the cause in one line; always 1
    TROUBLE=$1
    [ ! -s "${2:-}" ] || TROUBLE="$1: $(tail -n 3 "$2" | tr '\n\t' '  ')"
    return 1
}

bring_root() { # 0: the root is mounted and whole
    fetch && verify || return 1
    case $PACKED in
        *.sfs) mount_packed squashfs ;;
        *.erofs) mount_packed erofs ;;
        *.tar.*) unpack untar ;;
        *) unpack uncpio ;;
    esac || return 1
    [ -d "$NEWROOT/proc" ] || trouble "$IMGURL holds no root: it has no /proc" || return 1
    if [ -e "$NEWROOT/.statelite.json" ]; then
        # Laid out: what the node may write is what its entries say, in memory as over NFS. The agent closes the root.
        : > "$RUN/closing"
    else
        stateless_root
    fi
}

fetch() { # the packed image, whole or 1; what an attempt before got is gone on with
    mountpoint -q "$HELD" || { mkdir -p "$HELD" && mount -t tmpfs -o size=90%,mode=0700 packed "$HELD"; } || trouble "no tmpfs at $HELD" || return 1
    case $IMGURL in
        http:/* | https:/*) ;;
        *) trouble "imgurl=$IMGURL is no http: or https: address"; return 1 ;;
    esac
    say "fetching $IMGURL"
    # A server that sends nothing for a minute is asked again.
    curl --fail --silent --show-error --location --globoff --cacert "$CA" --connect-timeout 30 --speed-limit 1 --speed-time 60 \
        --continue-at - --output "$PACKED" "$IMGURL" 2> "$RUN/said" || {
        ended=$?
        # What is there may be whole already: then there is nothing to go on with.
        [ -n "$WANTED" ] && [ "$(digest)" = "$WANTED" ] && return 0
        # Such a server gives nothing but the whole.
        [ "$ended" != 33 ] || rm -f "$PACKED"
        trouble "$IMGURL can't be fetched" "$RUN/said"
    }
}

digest() {
    [ ! -s "$PACKED" ] || openssl dgst -sha256 -r "$PACKED" | sed 's/ .*//'
}

verify() {
    if [ -z "$WANTED" ]; then
        say 'the image is taken unchecked: the kernel line has no statelite.digest= word'
        return 0
    fi
    found=$(digest)
    [ "$found" = "$WANTED" ] || {
        rm -f "$PACKED"
        trouble "$IMGURL is not the image that was packed: its digest is sha256:$found, not sha256:$WANTED"
    }
}

unpacked_stream() { # the packed image without its compression; a failure is noted in $RUN/broken
    case $PACKED in
        *.zst) zstd -dcq "$PACKED" ;;
        *.xz) xz -dc "$PACKED" ;;
        *) gzip -dc "$PACKED" ;;
    esac 2> "$RUN/broken.said" || : > "$RUN/broken"
}

uncpio() {
    cpio --extract --make-directories --preserve-modification-time --unconditional --quiet --io-size=65536
}

untar() {
    tar --extract --numeric-owner --same-permissions --xattrs '--xattrs-include=*' --acls "$@"
}

unpack() { # $1 how: into a tmpfs, of which a tmpfs's own share of the memory is the most while rootlimit= says nothing
    say "unpacking ${PACKED##*/}"
    rm -f "$RUN/broken"
    mount -t tmpfs -o "mode=755${ROOTLIMIT:+,size=$ROOTLIMIT}${ROOTFLAGS:+,$ROOTFLAGS}" rootfs "$NEWROOT" 2> "$RUN/said" \
        || trouble "no tmpfs for the root (rootlimit=$ROOTLIMIT rootflags=$ROOTFLAGS)" "$RUN/said" || return 1
    unpacked_stream | (cd "$NEWROOT" && "$1") 2> "$RUN/said" || trouble "${PACKED##*/} can't be unpacked" "$RUN/said" || return 1
    [ ! -e "$RUN/broken" ] || trouble "${PACKED##*/} can't be uncompressed" "$RUN/broken.said" || return 1
    set_attributes || return 1
    umount "$HELD" # the memory of the packed image
}

set_attributes() { # a cpio has no place for capabilities, a squashfs none for access lists: what has some is in a tar of its own (packimage)
    [ -e "$NEWROOT/$XATTRS" ] || return 0
    (cd "$NEWROOT" && untar --file="$XATTRS") 2> "$RUN/said" || trouble "the extended attributes of ${PACKED##*/} can't be set" "$RUN/said" || return 1
    rm -f "$NEWROOT/$XATTRS"
}

mount_packed() { # $1 file system: the packed image itself, and over it, for a stateless node, a tmpfs
    lower=$RUN/lower upper=$RUN/upper
    for module in loop "$1" overlay; do
        modprobe -q "$module" 2> /dev/null || :
    done
    mkdir -p "$lower" "$upper"
    mount -t "$1" -o loop,ro "$PACKED" "$lower" 2> "$RUN/said" || trouble "${PACKED##*/} can't be mounted" "$RUN/said" || return 1
    if [ -e "$lower/.statelite.json" ]; then
        mount --bind "$lower" "$NEWROOT" || trouble "${PACKED##*/} can't be mounted as root"
        return
    fi
    mount -t tmpfs -o "mode=755${ROOTLIMIT:+,size=$ROOTLIMIT}" upper "$upper" 2> "$RUN/said" \
        || trouble "no tmpfs for the root (rootlimit=$ROOTLIMIT)" "$RUN/said" || return 1
    mkdir -p "$upper/written" "$upper/work"
    # The root directory has the mode and owner that it has below.
    chmod --reference="$lower" "$upper/written" && chown --reference="$lower" "$upper/written"
    mount -t overlay -o "lowerdir=$lower,upperdir=$upper/written,workdir=$upper/work" root "$NEWROOT" 2> "$RUN/said" \
        || trouble "no overlay over ${PACKED##*/}" "$RUN/said" || return 1
    set_attributes
}

stateless_root() { # what the agent needs of a root that is not laid out
    : > "$RUN/stateless"
    mkdir -p "$NEWROOT/.statelite"
    # Without the service a stateless node needs no more than its name and its machine-id, which kernel words say.
    printf '%s\n' "statelite-plan${TAB}1" "node${TAB}@NODE@" "image${TAB}$IMAGE${TAB}-" "hostname${TAB}@NODE@" "machine-id${TAB}@ID@" \
        "tmpfs${TAB}25%${TAB}25%${TAB}755" "end${TAB}6" > "$NEWROOT/.statelite/plan.template"
}

clear_root() { # nothing of an attempt that failed stays in the memory but what was fetched
    rm -f "$RUN/stateless" "$RUN/closing"
    # Without a digest nobody knows whether what was fetched is whole.
    [ -n "$WANTED" ] || rm -f "$PACKED"
    for place in "$NEWROOT" "$RUN/upper" "$RUN/lower"; do
        while mountpoint -q "$place" 2> /dev/null; do
            umount "$place" || umount -l "$place" || break
        done
    done
}
