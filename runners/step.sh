# One question about a step, or one thing to do about it, for runners/step_shell.py, which puts the
# variables before it: nonce, verb, id, offset, waits (tenths of a second), limit, chunk, boot
# (the boot id that is expected), leader (the text of step_leader.sh); and the command as "$@".
exec </dev/null
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 077
base=/var/lib/commissaire/steps
dir=$base/$id
unit=commissaire-$id.service
boot_id=$(cat /proc/sys/kernel/random/boot_id)
answer=

pause() { sleep 0.1 2>/dev/null || sleep 1; }

began() { # when a process began, in ticks since the boot
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    rest=${line##*) }
    set -- $rest
    echo "${20}"
}

with_systemd() { [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; }

alive() { # whether any process of the step is left
    [ "$(cat "$dir/boot_id" 2>/dev/null)" = "$boot_id" ] || return 1
    read -r pid then 2>/dev/null <"$dir/leader" || return 1
    if with_systemd && systemctl is-active --quiet "$unit"; then return 0; fi
    now=$(began "$pid") && [ "$now" != "$then" ] && return 1
    kill -0 -- "-$pid" 2>/dev/null
}

launch() { # a script with arguments, detached: it outlives this connection, and us
    if with_systemd; then
        systemd-run --quiet --unit="$unit" /bin/sh -c "$@"
    elif command -v setsid >/dev/null; then
        setsid /bin/sh -c "$@" >/dev/null 2>&1 &
    else
        (set -m && /bin/sh -c "$@" >/dev/null 2>&1 &)
    fi
}

wait_for() { # a condition, so many tenths of a second at most
    tenths=$1
    shift
    while ! "$@" && [ "$tenths" -gt 0 ]; do
        pause
        tenths=$((tenths - 1))
    done
}

there() { [ -d "$dir" ]; }
led() { [ -e "$dir/leader" ] || [ -e "$dir/status" ]; }
dead() { ! alive; }
size() { wc -c 2>/dev/null <"$dir/output" || echo 0; }

news() { # the end at once, more output once a second
    [ -e "$dir/status" ] && return 0
    [ $((tenths % 10)) = 0 ] || return 1
    [ "$(size)" -gt "$offset" ] || ! alive
}

begin() {
    mkdir -p "$base" && chmod 700 "${base%/*}" "$base"
    there && return 0
    find "$base" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null
    launch "$leader" sh "$dir" "$limit" "$@"
    wait_for 100 there
}

end() { # kill it, and see that it is gone
    mkdir -p "$base"
    if mkdir "$dir" 2>/dev/null; then # it never began, and never will
        echo never >"$dir/status"
        return 0
    fi
    wait_for 20 led
    for signal in TERM KILL; do
        alive || return 0
        if with_systemd; then systemctl kill --signal=$signal "$unit" 2>/dev/null; fi
        kill -$signal -- "-$pid" 2>/dev/null
        wait_for 50 dead
    done
}

REBOOT='mkdir "$1" 2>/dev/null || exit 0
sleep 0.3 || sleep 1
if [ -d /run/systemd/system ]; then systemctl reboot; else reboot || shutdown -r now; fi'

case $verb in
look) ;;
start)
    begin "$@"
    wait_for 20 led
    wait_for "$waits" news
    ;;
watch)
    there && wait_for 20 led
    wait_for "$waits" news
    ;;
stop) end ;;
tidy) rm -f "$dir/output" ;;
needs) if (eval "$1") >/dev/null 2>&1; then answer=yes; else answer=no; fi ;;
reboot)
    mkdir -p "$base" && chmod 700 "${base%/*}" "$base"
    if [ "$boot_id" = "$boot" ] && ! there; then
        launch "$REBOOT" sh "$dir"
        wait_for 20 there
    fi
    ;;
esac

status=
if ! there; then
    state=absent
elif [ -e "$dir/status" ]; then
    state=exited
elif alive; then
    state=running
elif [ -e "$dir/status" ]; then # just now
    state=exited
else
    state=gone
fi
[ $state != exited ] || status=$(cat "$dir/status")
printf '\n%s begin\n' "$nonce"
printf '%s=%s\n' state "$state" status "$status" size "$(size)" boot_id "$boot_id" answer "$answer"
printf '\n'
[ ! -e "$dir/output" ] || tail -c "+$((offset + 1))" "$dir/output" | head -c "$chunk"
printf '\n%s end\n' "$nonce"
