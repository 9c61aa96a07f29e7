# A step on a host, for runners/steps.py, which puts verb=… id=… nonce=… offset=… most=… not_after=…
# keep_days=… before it, and run=… to start one. Runs as root, under any POSIX shell.
#
# A step is a directory of its id. Whoever hard-links `begun` into it runs the commands: so they run
# once, however often the step is started, by whomever, also after a reboot or a crash in between.
# What stays there after `clear` keeps a late start from running them again.
exec </dev/null
umask 077
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

base=/var/lib/commissaire/steps
step=$base/$id
unit=commissaire-$id.service
mark=COMMISSAIRE_STEP=$id: # with an end: no id is the beginning of another
boot_id=$(cat /proc/sys/kernel/random/boot_id)

uptime() { cut -d . -f 1 /proc/uptime 2>/dev/null; }

# Field 22 of stat: when the process started. A pid alone may be another process's by now.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# Pids of what runs for this step: what has its mark in the environment.
running() {
    for place in $(grep -ls "$mark" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${place#/proc/}
        pid=${pid%/environ}
        [ "$pid" = $$ ] || echo "$pid"
    done
}

start() {
    mkdir -p "$step" || exit 1
    [ ! -e "$step/begun" ] || return 0
    find "$base" -mindepth 1 -maxdepth 1 -type d -mtime +"$keep_days" -exec rm -rf {} + 2>/dev/null
    printf '%s\n' "$run" >"$step/run.$$" && mv "$step/run.$$" "$step/run" || exit 1
    set -- env -i "$mark" "PATH=$PATH" HOME=/root LC_ALL=C /bin/sh "$step/run" "$step"
    if [ -d /run/systemd/system ] &&
        systemd-run --quiet --unit="$unit" --property=TimeoutStopSec=10 "$@" >"$step/detach" 2>&1
    then
        : # a unit of its own, so that nothing that ends our session ends it
    elif command -v setsid >/dev/null; then
        setsid "$@" >/dev/null 2>&1 &
    else
        nohup "$@" >/dev/null 2>&1 &
    fi
    # Mostly it has begun by the time that we tell.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ ! -e "$step/begun" ] || return 0
        sleep 0.1 2>/dev/null || sleep 1
    done
}

cancel() {
    mkdir -p "$step" || exit 1
    echo "0 0 $boot_id cancelled" >"$step/claim.$$"
    ln "$step/claim.$$" "$step/begun" 2>/dev/null # it never ran, and never will
    rm -f "$step/claim.$$"
    [ ! -d /run/systemd/system ] || systemctl stop "$unit" >/dev/null 2>&1
    for signal in TERM TERM TERM TERM TERM KILL KILL KILL KILL KILL; do
        left=$(running)
        [ -n "$left" ] || return 0
        kill -$signal $left 2>/dev/null
        sleep 1
    done
}

clear() {
    # The guard stays: `begun` and `status`.
    rm -f "$step/output" "$step/run" "$step/out" "$step/drained" "$step/detach" "$step"/claim.*
}

tell() {
    state=absent status= begun=
    if [ -d "$step" ]; then
        state=waiting
        if [ -e "$step/begun" ]; then
            read -r pid since begun what <"$step/begun"
            if [ -e "$step/status" ]; then
                state=ended
                status=$(cat "$step/status")
            elif [ "$what" = cancelled ]; then
                state=cancelled
            elif [ "$begun" = "$boot_id" ] && [ "$(started "$pid")" = "$since" ]; then
                state=running
            elif [ -n "$(running)" ]; then
                state=orphaned # what it started goes on, but nobody waits for how it ends
            elif [ -e "$step/status" ]; then # it ended while we looked
                state=ended
                status=$(cat "$step/status")
            else
                state=lost
            fi
        fi
    fi
    size=0
    [ ! -e "$step/output" ] || size=$(($(wc -c <"$step/output")))
    printf '\n%s begin\n' "$nonce"
    printf '%s=%s\n' state "$state" status "$status" begun "$begun" boot_id "$boot_id" \
        size "$size" uptime "$(uptime)" late "$late" detach "$(head -c 300 "$step/detach" 2>/dev/null | tr '\n' ' ')"
    echo
    if [ "$size" -gt "$offset" ]; then
        tail -c +$((offset + 1)) "$step/output" | head -c "$most"
    fi
    printf '\n%s end\n' "$nonce"
}

# Whoever was held up, or whose words were, does nothing here any more: others work on this host.
late=
[ -z "$not_after" ] || [ "$(uptime)" -lt "$not_after" ] || late=yes
[ "$verb" = tell ] || [ -n "$late" ] || "$verb"
tell
