# Start a daemon of Sysbox in the background and wait until it is ready:
#
#     LOG RUN_DIRECTORY SHORT_NAME SECONDS COMMAND...
#
# One that is there and not ours is left alone: it says what it is, and nothing is started.
# The checks that both make as they start fork without exec, and now and then such a child waits
# for a thread that it does not have (seen in 0.7.1 built with Go 1.26): they are started again.
set -eu
log=$1 run=$2 short=$3 seconds=$4
shift 4
# One that has been killed may still be there, for its parent to look at: without a program.
alive() { pid=$(cat "$run/$short.pid" 2>/dev/null) && readlink "/proc/$pid/exe" >/dev/null; }
if alive; then
    echo "another Sysbox is running: $(readlink "/proc/$pid/exe"), pid $pid" >&2
    exit 1
fi
mkdir -p "$(dirname "$log")"
for attempt in 1 2 3; do
    rm -f "$run/$short.sock" "$run/$short.pid"
    setsid "$@" </dev/null >>"$log" 2>&1 &
    child=$!
    tries=$((seconds * 20))
    while kill -0 "$child" 2>/dev/null && [ "$tries" -gt 0 ]; do
        if alive && [ -S "$run/$short.sock" ]; then exit 0; fi
        tries=$((tries - 1))
        sleep 0.05
    done
    if [ "$tries" -gt 0 ]; then
        grep level=fatal "$log" | tail -n 1 >&2
        exit 1
    fi
    kill -KILL -- "-$child"
done
echo "not ready within $seconds s, three times" >&2
exit 1
