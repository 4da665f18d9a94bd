# Start a program in a session of its own, and say its pid: LOG [LIMIT=VALUE...] -- COMMAND...
#
# Its output is appended to LOG. Limits are those of prlimit(1), set as far as root may here.
set -eu
log=$1
shift
mkdir -p "$(dirname "$log")"
while [ "$1" != -- ]; do
    limit=$1
    shift
    [ "$limit" != nofile=unlimited ] || limit=nofile=$(cat /proc/sys/fs/nr_open)
    # Where the hard limit may not be raised, the soft one can still be set.
    prlimit --pid $$ "--$limit" 2>/dev/null || prlimit --pid $$ "--${limit%:*}:" 2>/dev/null || :
done
shift
# Not with `&`: a shell has what it starts so ignore interrupts for ever.
exec setsid --fork sh -c 'echo $$; exec "$@" </dev/null >>"$0" 2>&1' "$log" "$@"
