# Which kernel runs and which are installed, for reboot_needed.sh and for the facts of a look; stands before them.

later() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

flavour() { echo "$1" | tr -d '0-9._~+-'; } # amd, cloudamd, rpirpiv, generic, fcx, …

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

