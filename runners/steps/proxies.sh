# Exports the host's proxies, which an empty environment and sudo lose; for detached_step.py and the
# steps of bootstrapping. /etc/environment is read as text, as pam_env reads it, and never run; what
# it says stays out of arguments, as it may have a password.
set -f
IFS='
'
for proxy in $([ ! -f /etc/environment ] || head -c 65536 /etc/environment | tr -d '\000\r' | awk '
    {
        sub(/^[ \t]*(export[ \t]+)?/, "")
        name = substr($0, 1, index($0, "=") - 1)
        if (name !~ /^(http|https|ftp|all|no)_proxy$/ && name !~ /^(HTTP|HTTPS|FTP|ALL|NO)_PROXY$/) next
        value = substr($0, length(name) + 2)
        sub(/[ \t]+(#.*)?$/, "", value)
        if (value ~ /^".*"$/ || value ~ /^\047.*\047$/) value = substr(value, 2, length(value) - 2)
        if (length(value) <= 4096) print name "=" value
    }'); do
    export "$proxy"
done
set +f
unset IFS proxy
