# What runs a step's commands on its host, with the step's directory as $1; runners/steps/detached_step.py puts
# output_most=… and commands() before it.
cd "$1" || exit 1
umask 077
read -r stat <"/proc/$$/stat"
since=$(echo "${stat##*) }" | cut -d ' ' -f 20)
# In a container the boot id is its machine's, and only the first process is another after a reboot.
read -r stat <"/proc/1/stat"
init=$(echo "${stat##*) }" | cut -d ' ' -f 20)
claim="$$ $since $(cat /proc/sys/kernel/random/boot_id) begun $init"
rm -f claim.$$ status.$$ # of a process of this number before a reboot: it may be `begun` itself
# On a full disk, where how it ends could not be said, it does not begin.
printf '%-3s\n' '' >status.$$ && echo "$claim" >claim.$$ &&
    [ "$(($(wc -c <status.$$))) $(cat claim.$$)" = "4 $claim" ] ||
    { rm -f claim.$$ status.$$ && exit 1; }
# Somebody else runs it, or nobody may.
ln claim.$$ begun 2>/dev/null || { rm -f claim.$$ status.$$ && exit 0; }
rm -f claim.$$
# It has begun, also after a power cut. (Old ones take no names, and write everything.)
sync begun . 2>/dev/null || sync

# What is beyond the limit is read and dropped, so that the commands never wait for it. (head would
# keep the beginning to itself until it has enough; the unit of ulimit -f is 512 bytes.)
rm -f out
mkfifo out
{
    (ulimit -f $((output_most / 512)) && exec cat >output) 2>/dev/null
    cat >/dev/null
    : >drained
} <out &
umask 022 # that of a login: what the commands write is for others too
commands >out 2>&1 </dev/null
status=$?
# A daemon that the commands left behind may hold the pipe: its output is not waited for long.
tries=0
while [ ! -e drained ] && [ $tries -lt 20 ]; do
    tries=$((tries + 1))
    sleep 0.1 2>/dev/null || sleep 1
done
printf '%-3s\n' "$status" 1<>status.$$ # in its place, which the disk has had since the beginning
sync status.$$ 2>/dev/null || sync
mv status.$$ status
