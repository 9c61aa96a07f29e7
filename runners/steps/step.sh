# A step on a host, for runners/steps/detached_step.py, which puts verb=… id=… nonce=… offset=… most=… wait_s=…
# not_after=… keep_days=… old_before=… keep_output_days=… before it, and run=… to start one. Runs as root, under any POSIX shell.
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

# Sets `status`; false where the commands did not end, or a power cut took away how they did.
ended() {
    status=
    [ ! -e "$step/status" ] || read -r status <"$step/status"
    case $status in "" | *[!0-9]*) status= && return 1 ;; esac
}

# Sets `pid`, `since`, `begun`, `what`, `init`; false where nothing has begun.
claimed() {
    pid= since= begun= what= init=
    [ -e "$step/begun" ] || return 1
    read -r pid since begun what init <"$step/begun"
    :
}

# Whether the first process is another than when the step began, in the same boot: a container's.
reborn() {
    [ "$begun" = "$boot_id" ] && [ -n "$init" ] || return 1
    now=$(started 1)
    [ -n "$now" ] && [ "$now" != "$init" ]
}

# Whether the runner, which leads a session of its own, is still there.
runner_lives() { [ "$begun" = "$boot_id" ] && [ -n "$since" ] && [ "$(started "$pid")" = "$since" ]; }

# Pids of what runs for this step: what is in its unit, has its mark in the environment, is in the
# runner's session, or comes from one of these. Never ourselves, or what we come from: an sshd that
# the step has restarted, say.
running() {
    claimed
    leader=
    ! runner_lives || leader=$pid
    {
        find "/sys/fs/cgroup/system.slice/$unit" "/sys/fs/cgroup/systemd/system.slice/$unit" \
            -name cgroup.procs -exec cat {} + 2>/dev/null
        grep -ls "$mark" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'
        echo of
        cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^\([0-9]*\) (.*) /\1 /'
    } | awk -v self=$$ -v leader="$leader" '
        !listing && $1 == "of" { listing = 1; next }
        !listing { ours[$1] = 1; next }
        $2 !~ /[ZX]/ { parent[$1] = $3; if ($5 == leader) ours[$1] = 1 }
        END {
            for (pid = self; pid in parent; pid = parent[pid]) { delete ours[pid]; above[pid] = 1 }
            do {
                more = 0
                for (pid in parent)
                    if (!(pid in ours) && !(pid in above) && parent[pid] in ours) ours[pid] = more = 1
            } while (more)
            for (pid in ours) if (pid in parent) print pid
        }'
}

# Link a claim to `begun`, if nobody did before. A full disk cuts it short: then it is none.
claim() {
    rm -f "$step/claim.$$" # of a process of this number before a reboot: it may be `begun` itself
    echo "$1" >"$step/claim.$$" && [ "$(cat "$step/claim.$$")" = "$1" ] &&
        ln "$step/claim.$$" "$step/begun" 2>/dev/null
    won=$?
    rm -f "$step/claim.$$"
    return $won
}

# Make the step's directory. What is in there is run as root: nobody else may write to it, and nothing
# is made before that is so, nor behind a link. mkdir itself follows none.
make_room() {
    for place in "${base%/*}" "$base" "$step"; do
        [ ! -L "$place" ] && { [ -d "$place" ] || [ ! -e "$place" ]; } || refuse "$place"
        [ -d "$place" ] || mkdir "$place" || [ -d "$place" ] || exit 1 # another may be quicker
        [ "$place" = "${base%/*}" ] || { [ -O "$place" ] && chmod 700 "$place"; } || refuse "$place"
    done
}

is_full() {
    echo "$base cannot be written to: is its disk full?" >&2
    exit 1
}

refuse() {
    echo "$1 is not a directory of root" >&2
    exit 1
}

# Old guards go by the time in their names, which is the service's: by the host's clock alone, one
# that jumped would delete what may still be sent.
forget_old() {
    find "$base" -mindepth 1 -maxdepth 1 -type d -mtime +"$keep_days" 2>/dev/null |
        awk -F / -v old="$old_before" 'old != "" && $NF ~ /^........-....-7/ && ($NF "") < (old "")' |
        while IFS= read -r old; do rm -rf "$old"; done
}

start() {
    make_room
    [ ! -e "$step/begun" ] || return 0
    forget_old
    find "$base" -mindepth 2 -maxdepth 2 -name output -mtime +"$keep_output_days" \
        -exec rm -f {} + 2>/dev/null
    printf '%s\n' "$run" >"$step/run.$$" && [ "$(cat "$step/run.$$")" = "$run" ] &&
        mv "$step/run.$$" "$step/run" || {
        rm -f "$step/run.$$"
        is_full
    }
    set -- env -i "$mark" "PATH=$PATH" HOME=/root LC_ALL=C /bin/sh "$step/run" "$step"
    if [ -d /run/systemd/system ] && {
        # A daemon that a package's script started outlives the unit (KillMode). What some versions
        # refuse is left out then. It may be there already.
        systemd-run --unit="$unit" --property=KillMode=process "$@" >"$step/detach" 2>&1 ||
            systemctl -q is-active "$unit" ||
            systemd-run --unit="$unit" "$@" >"$step/detach" 2>&1 || systemctl -q is-active "$unit"
    }; then
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
    has_room || is_full # else it is slow
}

# Whether there is room for what is written as a step begins: how it will end, and a claim.
has_room() {
    printf '%-3s\n' '' >"$step/status.room.$$" && echo "$mark" >"$step/claim.room.$$" &&
        [ -s "$step/status.room.$$" ] && [ -s "$step/claim.room.$$" ]
    room=$?
    rm -f "$step/status.room.$$" "$step/claim.room.$$"
    return $room
} 2>/dev/null

cancel() {
    make_room
    ! claim "0 0 $boot_id cancelled" || return 0 # it never ran, and never will
    # Without its commands nothing begins either; who has read them by now is ended below.
    [ -e "$step/begun" ] || rm -f "$step/run"
    # The runner is stopped first and killed last: what it began is found by it.
    claimed
    ! runner_lives || kill -STOP "$pid" 2>/dev/null
    quiet=0
    for signal in TERM TERM TERM TERM TERM KILL KILL KILL KILL KILL KILL KILL; do
        left=$(running)
        others=$(echo "$left" | grep -vx "$pid")
        if [ -n "$others" ]; then
            quiet=0
            kill -$signal $others 2>/dev/null
            sleep 1
        elif [ -n "$left" ]; then
            kill -KILL "$pid" 2>/dev/null
            sleep 0.1 2>/dev/null || sleep 1
        else
            # Twice: while we looked through them, one might have begun another and ended.
            quiet=$((quiet + 1))
            [ $quiet -lt 2 ] || break
        fi
    done
    [ ! -d /run/systemd/system ] || systemctl reset-failed "$unit" >/dev/null 2>&1
    [ -e "$step/begun" ] || is_full
}

clear() {
    # The guard stays: `begun` and `status`.
    rm -f "$step/output" "$step/run" "$step/out" "$step/drained" "$step/detach" \
        "$step"/claim.* "$step"/status.* "$step"/run.* "$step"/packages.*
}

output_size() {
    size=0
    [ ! -e "$step/output" ] || size=$(($(wc -c <"$step/output")))
}

# Waits while it runs and there is nothing to tell, $wait_s at most: so whoever waits asks seldom, and each
# call is a line in the host's logs. Output may come in a stream: it is told after $news_s.
wait_for_news() {
    waited=0
    while [ $waited -lt $((2 * wait_s)) ]; do
        claimed && ! ended && runner_lives || return 0
        output_size
        [ "$size" -le "$offset" ] || [ $waited -lt $((2 * news_s)) ] || return 0
        if sleep 0.5 2>/dev/null; then waited=$((waited + 1)); else sleep 1 && waited=$((waited + 2)); fi
    done
}
news_s=1

brief() { printf %s "$1" | head -c 300 | tr '\n' ' '; }

tell() {
    state=absent
    [ ! -d "$step" ] || state=waiting
    if claimed; then
        if ended; then
            state=ended
        elif [ "$what" = cancelled ]; then
            state=cancelled
        elif runner_lives; then
            state=running
        elif [ -n "$(running)" ]; then
            state=orphaned # what it started goes on, but nobody waits for how it ends
        elif ended; then # while we looked
            state=ended
        else
            state=lost
        fi
    fi
    reborn=
    ! reborn || reborn=yes
    output_size
    printf '\n%s begin\n' "$nonce"
    printf '%s=%s\n' state "$state" status "$status" begun "$begun" boot_id "$boot_id" \
        size "$size" uptime "$(uptime)" reborn "$reborn" late "$late" refused "$(brief "$refused")" detach "$(brief "$(cat "$step/detach" 2>/dev/null)")"
    echo
    if [ "$size" -gt "$offset" ]; then
        tail -c +$((offset + 1)) "$step/output" | head -c "$most"
    fi
    printf '\n%s end\n' "$nonce"
}

# Whoever was held up, or whose words were, does nothing here any more: others work on this host.
late=
[ -z "$not_after" ] || [ "$(uptime)" -lt "$not_after" ] || late=yes
refused= # the words of whoever could not do it
[ "$verb" != tell ] || [ "$wait_s" = 0 ] || wait_for_news
[ "$verb" = tell ] || [ -n "$late" ] || { refused=$("$verb" 2>&1) && refused=; }
tell
