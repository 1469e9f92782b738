#!/bin/sh
# What an administrator has on both guests before the site is declared: a root image, and on the server its levels and a disk for state.
set -e
image=/install/netboot/debian12/x86_64/compute/rootimg
mkdir -p "$image/bin" "$image/etc" "$image/srv/data" "$image/var/log" /etc/statelite
for name in issue motd own.conf hostname machine-id resolv.conf; do
    printf 'of the image\n' > "$image/etc/$name"
done
cp /bin/true "$image/bin/true"
[ "$(hostname)" = server ] || exit 0
mkdir -p /srv/state
mount /dev/vdb /srv/state
mkdir -p /srv/state/n1 /srv/state/n2 /srv/levels/site/etc /srv/levels/site/srv/data
for node in n1 n2; do
    mkdir -p "/srv/levels/nodes/$node/etc" "/srv/state/$node/var/log"
    printf 'of %s\n' "$node" > "/srv/levels/nodes/$node/etc/own.conf"
    printf 'kept by %s\n' "$node" > "/srv/state/$node/var/log/kept"
    chmod 600 "/srv/state/$node/var/log/kept"
done
printf 'of the site\n' > /srv/levels/site/etc/motd
for number in 1 2 3 4; do
    head -c 16777216 /dev/zero | tr '\0' "$number" > "/srv/levels/site/srv/data/part$number"
done
