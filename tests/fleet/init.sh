#!/bin/sh
# First process of a host: builds the host's file system, then becomes the keeper of its sshd.
#
# usage: init.sh HOST_DIRECTORY SPACE_KB      (in mount, pid and uts namespaces of its own)
#
# Says "mounted PID" (PID as the machine sees it) and waits for "go". A fleet that died in
# between closes the pipe instead, and nothing is left behind.
set -eu
[ $$ = 1 ] || exit 1 # what follows is not for the machine's own file system
host=$1
space_kb=$2
read -r pid _ </proc/self/stat

mount -t tmpfs -o "size=${space_kb}k,mode=755" /dev/vda1 "$host/stage"
cd "$host/stage" # relative paths: no comma or colon of a path gets into the mount options
mkdir root etc etc-work usr usr-work
cp -a "$host/etc/." etc/
cp -a "$host/usr/." usr/

cd root
mkdir etc usr proc dev sys run run/fleet run/sshd run/lock root home tmp var opt srv mnt boot
mkdir var/lib var/log var/cache var/tmp var/spool
ln -s ../run var/run
ln -s ../run/lock var/lock
chmod 1777 tmp var/tmp
chmod 700 root
cd ..
mount -t overlay -o lowerdir=/etc,upperdir=etc,workdir=etc-work etc root/etc
mount -t overlay -o lowerdir=/usr,upperdir=usr,workdir=usr-work usr root/usr
for directory in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$directory" ]; then
        cp -P "/$directory" root/
    elif [ -d "/$directory" ]; then
        mkdir "root/$directory"
        mount --bind "/$directory" "root/$directory"
    fi
done
while read -r path; do rm -f "root$path"; done <"$host/hidden"
for directory in usr/bin usr/sbin; do
    [ ! -d "$host/only/$directory" ] || mount --bind "$host/only/$directory" "root/$directory"
done
mount --rbind /dev root/dev
mount --rbind /sys root/sys
mount -t proc proc root/proc
mount --bind "$host/run" root/run/fleet
cat /proc/meminfo >"$host/run/meminfo"
mount --bind "$host/run/meminfo" root/proc/meminfo
mount --bind "$host/run/boot_id" root/proc/sys/kernel/random/boot_id
while read -r user uid; do
    [ "$user" = root ] || mkdir -m 700 "root/home/$user"
    [ "$user" = root ] || chown "$uid" "root/home/$user"
done <"$host/users"

hostname -F "$host/etc/hostname"
mkdir root/machine
mount --rbind root root

echo "mounted $pid"
read -r go
[ "$go" = go ]
cd root
pivot_root . machine # a real root: df and others look it up among the mounts
exec chroot . /bin/sh /run/fleet/keep.sh </dev/null >/run/fleet/keep.log 2>&1
