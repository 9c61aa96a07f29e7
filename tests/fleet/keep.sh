# Process 1 of a host, inside its file system: collects orphans, while its one child keeps sshd
# as the requests say that come through the pipe /run/fleet/requests ("WHAT SERIAL" per line).
[ $$ = 1 ] || exit 1 # outside a pid namespace, down() would end the whole machine
here=/run/fleet

up() {
    rm -f $here/listener
    # In a session of its own, as a daemon is; its pid file appears once it listens.
    /usr/sbin/sshd -D -E $here/sshd.log -f /etc/ssh/sshd_config &
    sshd=$!
}

down() { # everything but process 1 and this one
    kill -KILL -1
    gone -1
    rm -f $here/listener
}

gone() {
    wait # knows nothing of the first sshd, a child of process 1: its port is free once it is gone
    while kill -0 "$1" 2>/dev/null; do sleep 0.01; done
}

setting() { cat "$here/settings/$1" 2>/dev/null || echo "$2"; }

reboot() {
    sleep 0.1 # the answer of the command that asked gets out, mostly
    down
    rm -rf /tmp/* /run/reboot-required
    how=$(setting reboot new)
    [ "$how" != never ] || return 0
    sleep "$(setting downtime_s 0.3)"
    if [ "$how" = new ]; then
        cat /proc/sys/kernel/random/uuid >$here/boot_id
        [ ! -s $here/staged ] || mv $here/staged $here/deployed
    fi
    up
}

keep() {
    while read -r what serial <&4; do
        case $what in
        up) up ;;
        down) down ;;
        restart)
            kill -KILL "$sshd"
            gone "$sshd"
            up
            ;;
        reboot) reboot ;;
        poweroff) down ;;
        fill-tmp)
            mount -t tmpfs -o size=64k,mode=1777 tmpfs /tmp
            cat /dev/zero >/tmp/full 2>/dev/null
            ;;
        esac
        [ -z "$serial" ] || echo "$serial" >$here/done
    done
}

umount -l /machine && rmdir /machine
exec 4<>$here/requests
up
keep &
keeper=$!
echo $keeper >$here/keeper
exec 4<&-
# How busybox asks for a reboot; its shell runs that applet whatever else is on the PATH.
trap 'printf "reboot\037\036" >>$here/ran; echo reboot >>$here/requests' TERM
while kill -0 $keeper 2>/dev/null; do wait; done
