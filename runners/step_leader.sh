# The leader of a step's processes, detached: whoever starts it, however often, it runs once.
# Arguments: the step's directory, the most bytes of output to keep, and the command.
dir=$1 limit=$2
shift 2
mkdir "$dir" 2>/dev/null || exit 0 # somebody was quicker, and only one can be
cd "$dir" || exit 1
sync . 2>/dev/null || sync # not forgotten when the power fails
cat /proc/sys/kernel/random/boot_id >boot_id
read -r line </proc/$$/stat
rest=${line##*) }
set -f
began=$(set -- $rest; echo "${20}") # when this process began: its number may come again
echo "$$ $began" >leader.new && mv leader.new leader

keep() { # what comes, as it comes, up to the limit; the rest is read and dropped
    : >output
    size=0
    while [ "$size" -lt "$limit" ]; do
        dd bs=32768 count=1 2>/dev/null >>output
        now=$(wc -c <output)
        [ "$now" -gt "$size" ] || return 0
        size=$now
    done
    printf '\n[The rest of the output was not kept.]\n' >>output
    cat >/dev/null
}

{
    "$@" 2>&1 </dev/null
    echo $? >status.new
    # What it left running may hold the output open: that is not waited for.
    (sleep 2 && [ ! -e status ] && mv status.new status) >/dev/null 2>&1 &
} | keep
[ -e status ] || mv status.new status 2>/dev/null
exit 0
