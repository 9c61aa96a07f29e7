# Writes files whole or not at all, and only those that differ; for runners/bootstrapping/rendered_step.py, which
# puts same() before it. $1 is what a line about a change begins with, $2 a mark that is there from
# before the first change until the step is over; then for each file: path, mode as in -rw-r--r--,
# user:group, size in bytes, content, mode in octal, SHA-256.
told=$1
mark=$2
shift 2

flush() { sync "$@" 2>/dev/null || sync; }

fail() {
    rm -f "$new"
    echo "$1" >&2
    exit 1
}

put() { # as above
    ! same "$1" "$2" "$3" "$4" "$5" || return 0
    directory=${1%/*}
    new=$1.commissaire.$$
    [ ! -d "$1" ] || fail "$1 is a directory, and should be a file."
    mkdir -p "$directory/" || fail "$directory cannot be made."
    rm -f "$1".commissaire.* # of one that was killed
    # Nobody reads it, or swaps it for a link, before it is as it should be.
    (umask 077 && set -C && printf '%s' "$5" >"$new") 2>/dev/null &&
        [ "$(cat "$new" && echo .)" = "$5." ] ||
        fail "$1 cannot be written: is the disk full, or read-only?"
    chown "$3" "$new" || fail "$1 cannot be given to $3."
    chmod "$6" "$new" && flush "$new" && mv -f "$new" "$1" || fail "$1 cannot be replaced."
    ! command -v restorecon >/dev/null || restorecon "$1"
    flush "$directory/"
    echo "$told $7 $1"
}

umask 022
mkdir -p "${mark%/*}" && : >"$mark" && flush "$mark" || exit 1
while [ $# -gt 0 ]; do
    put "$1" "$2" "$3" "$4" "$5" "$6" "$7"
    shift 7
done
