# Which kernel runs and which are installed, for reboot_needed.sh and for the facts of a look; stands before them.

later() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

# amd64, cloud-amd64, rpi-v8, generic, fcx, …: a last word that begins with a letter as it is (v7 and v8 are
# kernels of different machines, side by side), and of what is before it, where versions are, the letters.
flavour() {
    case ${1##*-} in
    [a-z]*) echo "$(echo "${1%-*}" | tr -d '0-9._~+-')-${1##*-}" ;;
    *) echo "$1" | tr -d '0-9._~+-' ;;
    esac
}

# Versions of the kernels that are installed, the newest last.
kernels() {
    ls -d /boot/vmlinuz-* /lib/modules/*/vmlinuz /usr/lib/modules/*/vmlinuz 2>/dev/null |
        sed 's|^/boot/vmlinuz-||; s|.*/modules/||; s|/vmlinuz$||' | sort -V -u
}

# Sets `runs`, the newest that is installed of its flavour, `newest`, and another one, `other`.
find_kernels() {
    runs=$(uname -r)
    newest=
    other=
    for kernel in $(kernels); do
        if [ "$(flavour "$kernel")" = "$(flavour "$runs")" ]; then newest=$kernel; else other=$kernel; fi
    done
}

