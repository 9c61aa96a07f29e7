# Upgrades a system, or deploys a version of it, with the command that is there: the step of
# runners/steps/system_commands.py, which gives `upgrade FIRST` (the package command to look for first) or
# `deploy VERSION`. A line that begins with “commissaire: ” is a sentence for the operation's record.
say() { echo "commissaire: $*"; }

has() { command -v "$1" >/dev/null; }

# Runs a command; where it fails, that is the end, with its name (first argument) in the record.
run() {
    shown=$1
    shift
    "$@" && return
    status=$?
    say "“$shown” ended with exit status $status."
    exit $status
}

# Files that an administrator changed stay as they are; new defaults are taken where nothing was
# changed. Another apt that is at work is waited for.
apt() {
    env DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=600 "$@"
}

apt_upgrade() {
    # What an interrupted run left half configured would stop this one.
    run "dpkg --configure -a" \
        env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confold
    run "apt-get update" apt update
    run "apt-get upgrade" apt upgrade
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
        run "bootc upgrade" bootc upgrade
    elif has rpm-ostree; then
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
        dnf) run "dnf -y upgrade" dnf -y upgrade ;;
        yum) run "yum -y update" yum -y update ;;
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
    run "rpm-ostree deploy $1" rpm-ostree deploy "$1"
}

"$@"
