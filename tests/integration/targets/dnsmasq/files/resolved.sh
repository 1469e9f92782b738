#!/bin/sh
# Let the real dnsmasq serve a drop-in, and ask it through this machine's own resolver: resolved.sh DROP-IN DIRECTORY WORD...
# (run under unshare --net --mount). Prints for each word, a name or an address, what it is found to be.
set -eu
drop_in=$1
cd "$2"
shift 2
ip link set lo up
printf 'nameserver 127.0.0.1\nsearch lab.test\noptions timeout:20 attempts:3\n' > resolv.conf
printf 'hosts: files dns\n' > nsswitch.conf
printf '127.0.0.1 localhost\n' > hosts
for file in resolv.conf nsswitch.conf hosts; do
    mount --bind "$file" "/etc/$file"
done
dnsmasq --keep-in-foreground --user=root --group=root --conf-file="$drop_in" --pid-file="$PWD/pid" --no-resolv --no-hosts > dns.log 2>&1 &
daemon=$!
trap 'kill "$daemon"' EXIT
tries=0
until [ -s pid ] || [ "$tries" = 1200 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
for word; do
    case $word in
        *[0-9].[0-9]* | *:*) found=$(getent hosts "$word" | awk '{print $2}') || found= ;;
        *) found=$(getent ahosts "$word" | awk '$2 == "STREAM" {print $1}' | sort | paste -s -d ,) || found= ;;
    esac
    echo "$word ${found:-unknown}"
done
