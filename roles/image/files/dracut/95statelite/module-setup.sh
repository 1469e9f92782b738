#!/usr/bin/env bash
# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# dracut module: the statelite agent and everything it calls.

check() {
    require_binaries openssl timeout chroot xargs || return 1
    return 255
}

depends() {
    # The one that dracut was told to take: by what the image has to get an address with.
    local network=network-legacy
    dracut_module_included network-manager && network="network-manager"
    echo base nfs "$network"
}

installkernel() {
    # Controllers of disks load by themselves; what stands on the disks does not everywhere.
    instmods virtio_blk virtio_scsi sd_mod ahci ata_piix nvme ext4 xfs crc32c crc32c_generic crc32c-intel
    # A root in memory (memory.sh).
    instmods loop squashfs erofs overlay
}

install() {
    inst_multiple cat chmod chroot cmp cp date grep ip ln mkdir mount mountpoint mv openssl rm rmdir sed setsid sleep sync tail tee \
        timeout tr umount uname xargs
    inst_multiple -o reboot systemctl
    # The node's own disk (localdisk.sh); without them a node says what is missing.
    inst_multiple -o blkid cut dd e2fsck ls mkfs.ext4 readlink udevadm wipefs /etc/mke2fs.conf
    # A root in memory; an image without curl can't be booted so, and says it when it is asked to.
    inst_multiple -o chown cpio curl gzip tar tr xz zstd
    inst_script "${moddir:?}/stateliteroot.sh" /sbin/stateliteroot
    inst_hook cmdline 20 "${moddir:?}/statelite-cmdline.sh"
    inst_hook cmdline 91 "${moddir:?}/statelite-imgurl.sh"
    inst_hook pre-pivot 50 "${moddir:?}/statelite-pre-pivot.sh"
    local file
    for file in agent words service mounts localdisk entries batches overlays attach identity lease memory report prove; do
        inst_simple "${moddir:?}/$file.sh" "/usr/lib/statelite/$file.sh"
    done
    inst_simple "${moddir:?}/pieces.pl" /usr/lib/statelite/pieces.pl
    [[ -e ${dracutsysrootdir-}/etc/statelite/ca.pem ]] && inst_simple /etc/statelite/ca.pem
    mkdir -p "${initdir:?}/etc/statelite" "${initdir:?}/etc/cmdline.d"
    # A node's clock is never behind the day its initramfs was made (decisions.md, The node).
    printf '%s\n' "${SOURCE_DATE_EPOCH:-$(date +%s)}" > "${initdir:?}/etc/statelite/build-time"
    # dracut's own failures must not end in a root shell either (architecture.md, law 6).
    printf 'rd.shell=0 rd.emergency=reboot\n' > "${initdir:?}/etc/cmdline.d/95statelite.conf"
}
