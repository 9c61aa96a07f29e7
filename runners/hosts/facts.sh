# Tells what a host is, for runners/hosts/facts.py, which puts nonce=… before it. Any POSIX shell will
# do; nothing is written anywhere (here documents would need /tmp), nothing read from stdin.
exec </dev/null
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset OMP_NUM_THREADS OMP_THREAD_LIMIT # nproc obeys them

facts=
say() {
    facts="$facts$1=$2
"
}

# Read, never sourced: it is the host's text, not ours.
release=/etc/os-release
[ -r "$release" ] || release=/usr/lib/os-release
if [ -r "$release" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        ID=* | ID_LIKE=* | VERSION_ID=* | VARIANT_ID=*) say "release.${line%%=*}" "${line#*=}" ;;
        esac
    done <"$release"
fi

root=/
if [ -e /run/ostree-booted ]; then
    say ostree yes
    # There / may be a composefs image of a few kilobytes.
    [ ! -d /sysroot ] || root=/sysroot
fi
say space "$(df -Pk "$root" 2>/dev/null | tail -n 1)"

say cpus "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null ||
    grep -c '^processor' /proc/cpuinfo)"

while read -r name value _; do
    [ "$name" != MemTotal: ] || say memory "$value"
done </proc/meminfo

say boot_id "$(cat /proc/sys/kernel/random/boot_id)"

find_kernels
say kernel "$runs"
while read -r name value _; do
    [ "$name" != btime ] || say booted_at "$value"
done </proc/stat
if [ -e /run/reboot-required ] || [ -e /run/ostree/staged-deployment ]; then
    say reboot_needed yes
elif [ -e /run/ostree-booted ]; then
    say reboot_needed no
elif [ -n "$newest" ]; then
    later "$newest" "$runs" && say reboot_needed yes || say reboot_needed no
fi

uid=$(id -u)
say uid "$uid"
if [ "$uid" = 0 ]; then
    say sudo needless
elif ! command -v sudo >/dev/null; then
    say sudo missing
elif words=$(sudo -n /bin/sh -c : 2>&1); then
    say sudo works
else
    say sudo_words "$(printf '%s' "$words" | tr '\n' ' ' | cut -c 1-500)"
    case $words in
    *xpired* | *reset\ your\ password*) say sudo refused ;; # not for want of NOPASSWD
    *"password is required"* | *nteractive\ authentication*) say sudo password ;;
    *"terminal is required to read the password"*) say sudo password ;;
    *"must have a tty"*) say sudo tty ;;
    *) say sudo refused ;;
    esac
fi

# In one piece, so that nothing of another process gets in between.
printf '\n%s begin\n%s%s end\n' "$nonce" "$facts" "$nonce"
