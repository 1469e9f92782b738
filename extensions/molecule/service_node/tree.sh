#!/bin/sh
# Makes a generation with a root tree that has something of every kind: names of one file, a hole, a capability, an ACL, a device.
set -eu
umask 022
tree=$1/rootimg
mkdir -p "$tree/etc/ssl" "$tree/usr/bin" "$tree/var/lib" "$tree/dev"
echo 'nothing yet' > "$tree/etc/kept"
echo 'Tiny' > "$tree/etc/issue"
head -c 3000000 /dev/urandom > "$tree/usr/bin/large"
ln "$tree/usr/bin/large" "$tree/usr/bin/same"
ln -s large "$tree/usr/bin/link"
truncate -s 5000000 "$tree/var/lib/hole"
mkfifo "$tree/var/lib/pipe"
mkdir -m 1777 "$tree/tmp"
chown 7:8 "$tree/var/lib/hole"
python3 -c 'import os, sys
os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
os.setxattr(sys.argv[1], "user.note", b"kept")' "$tree/usr/bin/large"
echo kernel > "$1/kernel"
echo initramfs > "$1/initrd-statelite.gz"
echo '{"format": 1, "generation": 1, "image": "tiny", "built": "2026-11-22T00:00:00Z", "kernel_version": "6.1", "packages": {}}' > "$1/record.json"
