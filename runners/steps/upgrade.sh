# Upgrades a system, or deploys a version of it, with the command that is there: the step of
# runners/steps/system_commands.py, which gives `upgrade FIRST` (the package command to look for first) or
# `deploy VERSION`. A line that begins with “commissaire: ” is a sentence for the operation's record; so is one
# with “commissaire-waits: ” as long as it is among the last; “commissaire-packages: ” is evidence.
say() { echo "commissaire: $*"; }

has() { command -v "$1" >/dev/null; }

lock_s=600 # so long another package manager is waited for, within the limit of the step

uptime_s() { cut -d . -f 1 /proc/uptime; }

# Runs a command; sets `status`, and `said`: what it said, as the step's `output` has it. That is "" where the
# disk or the limit of output cut it off: then only the status counts.
turn=0
attempt() {
    from=$(($({ wc -c <output; } 2>/dev/null) + 1)) # it may not be there yet
    "$@"
    status=$?
    turn=$((turn + 1))
    end="-- $turn: “$shown” ended with exit status $status"
    echo "$end"
    tries=0
    while [ $tries -lt 20 ]; do
        said=$(tail -c "+$from" output 2>/dev/null | tr -d '\000')
        case $said in *"$end"*) return ;; esac
        tries=$((tries + 1))
        sleep 0.1 2>/dev/null || sleep 1
    done
    said=
}

# The first line of what was said that has this pattern; false where none has.
line() { printf '%s\n' "$said" | grep -E -m 1 -- "$1"; }

# What is installed, a line for each package (name, version); on OSTree for each tree.
packages() {
    case $1 in
    apt-get) dpkg-query -W -f '${Package}:${Architecture} ${Version} ${Status}\n' ;;
    dnf | yum) rpm -qa --qf '%{NAME}.%{ARCH} %{EPOCH}:%{VERSION}-%{RELEASE}\n' ;;
    rpm-ostree) rpm-ostree status --json | grep -oE '"(checksum|version)" *: *"[^"]+"' | sed 's/^[^:]*:/tree/' ;;
    bootc) bootc status --format=json | grep -oE '"imageDigest" *: *"[^"]+"' | sed 's/^[^:]*:/tree/' ;;
    esac 2>/dev/null | head -n "$packages_most" | sort -u
}
packages_most=50000

# From here on; what changed is told however the step ends.
watch_packages() {
    asked=$1
    packages "$asked" >packages.before
    [ -s packages.before ] && trap tell_packages EXIT
}

digest() { sha256sum <"$1" | cut -d ' ' -f 1; }

tell_packages() {
    packages "$asked" >packages.after
    changed=$(sort packages.before packages.after | uniq -u | cut -d ' ' -f 1 | sort -u | wc -l)
    echo "commissaire-packages: $(digest packages.before) $(digest packages.after) $((changed))"
}

# Runs a command, again while another package manager is at work; where it fails, that is the end,
# with its name (first argument) and last line in the record.
run() {
    shown=$1
    shift
    deadline=$(($(uptime_s) + lock_s))
    while :; do
        attempt "$@"
        [ $status != 0 ] || return 0
        held=$(line "$locked") && ! line "$unlockable" >/dev/null && [ "$(uptime_s)" -lt $deadline ] || break
        held=$(echo "$held" | cut -c 1-200)
        echo "commissaire-waits: Another package manager is at work: “$shown” waits for it, $lock_s s at most: “$held”."
        sleep 2
    done
    owner=$(line 'driven by') &&
        say "Another program owns its updates (${owner#error: }): stop and mask that, or leave updates to it."
    last=$(printf '%s\n' "$said" | grep -v '^-- ' | grep . | tail -n 1 | cut -c 1-200)
    say "“$shown” ended with exit status $status${last:+: “$last”}."
    exit $status
}

# It ended with 0, but did not look everywhere: that is no upgrade.
insist() {
    unread=$(line "$1") || return 0
    say "“$shown” could not read all repositories: “$(echo "$unread" | cut -c 1-200)”."
    exit 1
}

must_have_repositories() {
    ! has_none "$@" || { say "$nowhere" && exit 1; }
}

# Files that an administrator changed stay as they are; new defaults are taken where nothing was
# changed. Before apt 2.1, Error-Mode says nothing. It is `run` that waits for locks: apt's own way
# does not wait for that of the lists, and says nothing of it but on a terminal.
apt() {
    env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold -o APT::Update::Error-Mode=any "$@"
}

apt_upgrade() {
    watch_packages apt-get
    # What an interrupted run left half configured would stop this one.
    run "dpkg --configure -a" \
        env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confold
    run "apt-get update" apt update
    insist "$unread_apt"
    must_have_repositories apt-get indextargets
    run "apt-get upgrade" apt --with-new-pkgs upgrade
    kept=$(printf '%s\n' "$said" |
        awk '/kept back:$|due to phasing:$|^Not upgrading/ { on = 1; next } on && /^  / { print; next } { on = 0 }')
    [ -z "$kept" ] || say "Kept back:" $kept
}

rpm_upgrade() {
    run "$@"
    insist "$unread_rpm"
    # Amazon Linux stays on its release for ever.
    ! line 'A newer release of' >/dev/null ||
        say "It is locked to its release, and there is a newer one: see its output."
    skipped=$(printf '%s\n' "$said" |
        awk '/^Skipping packages with/ { on = 1; next } on && /^ *\(/ { next } on && /^ / { print $1; next } { on = 0 }')
    [ -z "$skipped" ] || say "Skipped:" $skipped
}

# Whether the booted tree is an image of bootc's, without what only rpm-ostree could carry over.
is_image() {
    has bootc || return 1
    has rpm-ostree || return 0
    told=$(bootc status --format=json 2>/dev/null) || return 1
    echo "$told" | grep -q '"type" *: *"bootcHost"' &&
        ! echo "$told" | grep -q '"incompatible" *: *true'
}

ostree_upgrade() {
    if is_image; then
        watch_packages bootc
        run "bootc upgrade" bootc upgrade
    elif has rpm-ostree; then
        watch_packages rpm-ostree
        run "rpm-ostree upgrade" rpm-ostree upgrade
    else
        say "It is booted from OSTree and has neither rpm-ostree nor bootc: not supported."
        exit 1
    fi
}

upgrade() {
    if [ -e /run/ostree-booted ]; then
        ostree_upgrade
        return
    fi
    for tool in "$1" dnf yum apt-get; do
        has "$tool" || continue
        case $tool in
        # Lists that were fetched before may be two days old.
        dnf)
            watch_packages dnf
            rpm_upgrade "dnf -y --refresh upgrade" dnf -y --refresh upgrade
            ! line '^Nothing to do' >/dev/null || must_have_repositories dnf -q repolist
            ;;
        yum)
            watch_packages yum
            run "yum clean expire-cache" yum clean expire-cache
            rpm_upgrade "yum -y update" yum -y update
            ;;
        apt-get) apt_upgrade ;;
        esac
        return
    done
    say "It has none of dnf, yum and apt-get: not supported."
    exit 1
}

deploy() {
    if ! has rpm-ostree; then
        say "A deploy takes rpm-ostree, which is not there: not supported."
        exit 1
    fi
    watch_packages rpm-ostree
    run "rpm-ostree deploy $1" rpm-ostree deploy "$1"
}

"$@"
