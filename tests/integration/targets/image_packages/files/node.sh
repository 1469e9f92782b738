#!/bin/sh
# A node as the playbook update_running meets it by ssh: node.sh DIRECTORY root@ADDRESS sh -s -- AGE, its script on stdin.
# DIRECTORY has its kernel words (ADDRESS.cmdline), what is mounted (mounts), and a systemctl; what it was asked goes to ADDRESS.asked.
set -eu
directory=$1 address=${2#root@}
shift 2
export ASKED="$directory/$address.asked"
exec unshare --mount --propagation private sh -c '
    mount --bind "$1/$2.cmdline" /proc/cmdline
    PATH=$1/bin:$PATH
    directory=$1 && shift 2
    sed "s#/proc/mounts#$directory/mounts#" | "$@"' sh "$directory" "$address" "$@"
