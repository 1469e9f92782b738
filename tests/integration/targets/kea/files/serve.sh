#!/bin/sh
# Raise a network of two ends and serve it: serve.sh DIRECTORY COMMAND... (run under unshare --net).
set -eu
cd "$1"
shift
ip link set lo up
ip link add statelite0 type veth peer name statelite1
ip address add 10.77.0.1/24 dev statelite0
ip link set statelite0 up
ip link set statelite1 up
export KEA_PIDFILE_DIR="$PWD" KEA_LOCKFILE_DIR="$PWD"
exec "$@" > serve.log 2>&1
