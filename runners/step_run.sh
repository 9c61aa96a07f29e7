# What runs a step's commands on its host, with the step's directory as $1; runners/steps.py puts
# output_most=… and commands() before it.
cd "$1" || exit 1
read -r stat <"/proc/$$/stat"
since=$(echo "${stat##*) }" | cut -d ' ' -f 20)
echo "$$ $since $(cat /proc/sys/kernel/random/boot_id) begun" >claim.$$
ln claim.$$ begun 2>/dev/null || { rm -f claim.$$; exit 0; } # somebody else runs it, or nobody may
rm -f claim.$$

# What is beyond the limit is read and dropped, so that the commands never wait for it. (head would
# keep the beginning to itself until it has enough; the unit of ulimit -f is 512 bytes.)
rm -f out
mkfifo out
{
    (ulimit -f $((output_most / 512)) && exec cat >output) 2>/dev/null
    cat >/dev/null
    : >drained
} <out &
commands >out 2>&1 </dev/null
status=$?
# A daemon that the commands left behind may hold the pipe: its output is not waited for long.
tries=0
while [ ! -e drained ] && [ $tries -lt 20 ]; do
    tries=$((tries + 1))
    sleep 0.1 2>/dev/null || sleep 1
done
echo $status >status.new
mv status.new status
