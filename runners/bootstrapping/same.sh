# Whether a file has this text, this mode (as ls shows it) and this owner; for
# runners/bootstrapping/rendered_step.py. Needs nothing that POSIX does not have (no stat, no cmp), nor /tmp.
same() { # path, mode as in -rw-r--r--, user:group, size in bytes, content
    [ -f "$1" ] && [ ! -L "$1" ] && [ "$(($(wc -c <"$1")))" = "$4" ] &&
        { [ "$(cat "$1" && echo .)" = "$5." ]; } 2>/dev/null || return 1 # bash minds NULs
    set -f
    set -- "$2 $3" $(ls -ld "$1")
    set +f
    # What may follow the mode: a security context, an access list.
    [ "${2%[.+@]} $4:$5" = "$1" ]
}
