# Prints yes where what was installed or staged is used only after a reboot; says on stderr, with the mark of a
# sentence for the record, why that cannot be told. Runs as root, and changes nothing.
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

has() { command -v "$1" >/dev/null; }

unsure() { echo "commissaire: Whether it needs a reboot cannot be told: $*." >&2; }

number() { echo "$1" | sed 's/[^0-9.-].*//; s/[.-]*$//'; }

# A tree is staged, or was deployed in any other way, where the first one is not the booted one.
ostree() {
    if has rpm-ostree; then
        first=$(rpm-ostree status --json 2>/dev/null | grep -o '"booted" *: *[a-z]*' | head -n 1)
        case $first in
        *false) echo yes ;;
        "") unsure "rpm-ostree status says nothing" ;;
        esac
    elif status=$(bootc status --format=json 2>/dev/null) && [ -n "$status" ]; then
        ! echo "$status" | tr -d '\n' | grep -q '"staged" *: *{' || echo yes
    else
        unsure "neither rpm-ostree nor bootc says what is staged"
    fi
}

# By its words: that there is no such plugin ends with the same status as that a reboot is required.
restarts() {
    if has dnf; then
        dnf needs-restarting -r 2>/dev/null
    elif has needs-restarting; then
        needs-restarting -r 2>/dev/null
    fi
}

packaged() {
    find_kernels
    if [ -n "$newest" ] && later "$newest" "$runs"; then
        echo yes
        return
    fi
    said=$(restarts)
    case $said in
    *"Reboot is required"*) echo yes ;;
    *"Reboot should not be necessary"*) ;;
    *)
        if [ -z "$newest" ]; then
            unsure "it runs kernel $runs, and has ${other:-none in /boot or /lib/modules}"
        elif [ -n "$other" ] && later "$(number "$other")" "$(number "$runs")"; then
            unsure "it runs kernel $runs, and has $other of another flavour"
        fi
        ;;
    esac
}

if [ -e /run/ostree-booted ]; then
    ostree
elif [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then
    echo yes
else
    packaged
fi
:
