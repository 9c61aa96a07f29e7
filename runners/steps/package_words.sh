# What package commands say, in extended regular expressions, for upgrade.sh and updates.sh, which it stands before.

# Where a lock is held by somebody else.
locked='(is|was) locked by another|Could not get lock|Unable to (lock|acquire)|transaction lock on'
locked="$locked|obtain (the |rpm )*transaction lock|[Tt]ransaction (is )?in progress"
locked="$locked|[Cc]annot get (exclusive|shared) lock|^Existing lock "

# Where a lock cannot be had, and nobody holds it: waiting does not help.
unlockable='lock.*(No space left|Read-only file system|Permission denied|No such file)'

# Where not every repository could be read, and yet they end with 0.
unread_apt='^(W: (Failed to fetch|Some index files failed)|Err:[0-9])'
unread_rpm='^Ignoring repositories:|Errors during downloading metadata|Failed to (download|synchronize)'
unread_rpm="$unread_rpm|No more mirrors|^>>> (Usable URL not found|Librepo error: Cannot download)"

# Whether there is no repository: then a command that lists them ends with 0 and says nothing. What looks
# nowhere finds all up to date.
has_none() { listed=$("$@" 2>/dev/null) && [ -z "$listed" ]; }
nowhere="It has no repositories: nothing could be looked up."
