# Tells how many updates wait on a system: the step of runners/updates/waiting_updates.py, which gives `updates FIRST`
# (the package command to look for first). It changes nothing but the lists of packages. The line
# “commissaire-updates: ALL SECURITY” is the answer (- where that is not told); one with “commissaire: ” says why
# there is none.
say() { echo "commissaire: $*"; }

has() { command -v "$1" >/dev/null; }

tell() {
    echo "commissaire-updates: $1 $2"
    exit 0
}

lock_s=300 # so long another package manager is waited for

uptime_s() { cut -d . -f 1 /proc/uptime; }

# Runs a command, again while another package manager is at work; sets `status` and `said`.
ask() {
    deadline=$(($(uptime_s) + lock_s))
    while :; do
        said=$("$@" 2>&1)
        status=$?
        [ $status != 0 ] && [ "$(uptime_s)" -lt $deadline ] || return
        printf '%s\n' "$said" | grep -Eq -- "$locked" || return
        ! printf '%s\n' "$said" | grep -Eq -- "$unlockable" || return
        echo "commissaire-waits: Another package manager is at work"
        sleep 2
    done
}

fail() {
    last=$(printf '%s\n' "$said" | grep . | tail -n 1 | cut -c 1-200)
    say "“$1” ended with exit status $status${last:+: “$last”}."
    exit 1
}

# It ended well, and could not look everywhere: then it is no answer.
insist() {
    unread=$(printf '%s\n' "$said" | grep -E -m 1 -- "$2") || return 0
    say "“$1” could not read all repositories: “$(echo "$unread" | cut -c 1-200)”."
    exit 1
}

must_have_repositories() {
    ! has_none "$@" || { say "$nowhere" && exit 1; }
}

count() { printf '%s\n' "$said" | awk "$1"' { found++ } END { print found + 0 }'; }

# What `apt-get upgrade` of an operation would install; it is only played.
apt_updates() {
    ask env DEBIAN_FRONTEND=noninteractive apt-get -q -o APT::Update::Error-Mode=any update
    [ $status = 0 ] || fail "apt-get update"
    insist "apt-get update" "$unread_apt"
    must_have_repositories apt-get indextargets
    ask apt-get -s -q -o Debug::NoLocking=1 --with-new-pkgs upgrade
    [ $status = 0 ] || fail "apt-get -s upgrade"
    tell "$(count '/^Inst /')" "$(count '/^Inst .*\(.*[Ss]ecurity/')"
}

# A package for each line, up to those that others make obsolete.
rpm_packages='/^Obsoleting/ { exit } /^[^ ]+\.[^ ]+( |$)/'

rpm_updates() {
    tool=$1
    refresh=$2
    ask "$tool" -q $refresh check-update
    [ $status = 0 ] || [ $status = 100 ] || fail "$tool check-update"
    insist "$tool check-update" "$unread_rpm"
    [ $status != 0 ] || [ "$tool" != dnf ] || must_have_repositories dnf -q repolist
    every=$(count "$rpm_packages")
    # CentOS has no advisories: it would always be none.
    ! grep -Eqs '^ID="?centos"?$' /etc/os-release || tell "$every" -
    ask "$tool" -q --security check-update
    [ $status = 0 ] || [ $status = 100 ] || tell "$every" -
    tell "$every" "$(count "$rpm_packages")"
}

# One tree at most, with all that it brings.
ostree_updates() {
    if has rpm-ostree; then
        ask rpm-ostree upgrade --check
        case $status in
        0) ;;
        77) tell 0 0 ;;
        *) fail "rpm-ostree upgrade --check" ;;
        esac
        case $said in
        *SecAdvisories:*) tell 1 1 ;;
        *"No updates available"*) tell 0 0 ;;
        esac
        tell 1 -
    elif has bootc; then
        ask bootc upgrade --check
        [ $status = 0 ] || fail "bootc upgrade --check"
        case $said in
        *"Update available"*) tell 1 - ;;
        esac
        tell 0 0
    fi
    say "It is booted from OSTree and has neither rpm-ostree nor bootc: not supported."
    exit 1
}

updates() {
    [ ! -e /run/ostree-booted ] || ostree_updates
    for tool in "$1" dnf yum apt-get; do
        has "$tool" || continue
        case $tool in
        dnf) rpm_updates dnf --refresh ;;
        yum)
            yum clean expire-cache >/dev/null 2>&1
            rpm_updates yum ""
            ;;
        apt-get) apt_updates ;;
        esac
    done
    say "It has none of dnf, yum and apt-get: not supported."
    exit 1
}

"$@"
