#!/bin/sh
# A node as the playbook update_running meets it by ssh: node.sh DIRECTORY root@ADDRESS sh -s -- AGE, its script on stdin.
# DIRECTORY has its kernel words (ADDRESS.cmdline), what is mounted (mounts), and a systemctl; what it was asked goes to ADDRESS.asked.
set -eu
directory=$1 address=${2#root@}
if [ -z "${ASKED:-}" ]; then
    export ASKED="$directory/$address.asked"
    exec unshare --mount --propagation private "$0" "$@"
fi
shift 2
mount --bind "$directory/$address.cmdline" /proc/cmdline
PATH=$directory/bin:$PATH
sed "s#/proc/mounts#$directory/mounts#" | "$@"
