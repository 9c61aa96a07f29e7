# What the commands of a host share. They append what they were called with to /run/fleet/ran.
here=/run/fleet
packages=

note() { # one record: arguments end with 037, the record with 036; one write, so none mix
    record=$(printf '%s\037' "$@")
    printf '%s\036' "$record" >>$here/ran
}

setting() { cat "$here/settings/$1" 2>/dev/null || echo "$2"; }

ask_for() { # reboot | poweroff | restart
    if [ ! -w $here/requests ]; then
        echo "Call to ${1} failed: Interactive authentication required." >&2
        exit 1
    fi
    echo "$1" >>$here/requests
}

must_be_root() {
    [ -w $here/requests ] || { echo "$1" >&2; exit "$2"; }
}

install() { # packages: each brings its units, unless the host's repositories do not have it
    for package; do
        case $package in -*) continue ;; esac
        case " $(setting packages_missing) " in
        *" $package "*) echo "Error: Unable to find a match: $package" >&2 && exit 1 ;;
        esac
    done
    for package; do
        case $package in
        flannel)
            unit flanneld
            printf '#!/bin/sh\n' >/usr/bin/flanneld
            chmod 755 /usr/bin/flanneld
            ;;
        docker | moby-engine | docker.io) unit docker ;;
        esac
    done
}

unit() {
    mkdir -p /usr/lib/systemd/system
    printf '[Service]\nExecStart=/usr/bin/%s\n' "$1" >"/usr/lib/systemd/system/$1.service"
}

transaction() { # a package manager at work: takes its time, may say much, fail, or restart sshd
    echo "Upgrading:"
    sleep "$(setting package_seconds 0)"
    echo "  kernel  6.0.1-1  updates  1 M"
    bytes=$(setting package_output 0)
    [ "$bytes" = 0 ] || head -c "$bytes" /dev/zero | tr '\0' '.'
    [ "$(setting package_restarts_sshd no)" = no ] || ask_for restart
    status=$(setting package_status 0)
    [ "$status" = 0 ] || echo "${1}: the transaction failed" >&2
    [ "$status" != 0 ] || { install $packages && echo "Complete!"; }
    exit "$status"
}

note "${0##*/}" "$@"
