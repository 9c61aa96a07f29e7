# First process of a small machine: a file system that starts as another one, and its real systemd.
#
# usage: booted.sh SCRATCH_DIRECTORY KEPT_DIRECTORY SYSTEM      (in namespaces and a control group of its own)
# SYSTEM is where that file system is; / is that of this machine.
set -eu
[ $$ = 1 ] || exit 1 # what follows is not for the machine's own file system
scratch=$1
kept=$2
system=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
cd "$scratch"
mkdir up work root
mount -t overlay -o lowerdir="$system",upperdir=up,workdir=work overlay root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --bind "$kept" var/lib
mkdir -p run/systemd/system
# Nothing of what this machine would start is started.
printf '[Unit]\nDefaultDependencies=no\n' >run/systemd/system/bare.target
pivot_root . mnt
export container=test
exec chroot . /lib/systemd/systemd --system --unit=bare.target --log-target=console </dev/null
