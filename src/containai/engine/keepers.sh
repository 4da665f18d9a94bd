# Part of network.sh: programs that it keeps alive on the bridge, and that have no rights of root's.

# Answers what boxes ask as this machine's own resolver would: whoever it is, a server on a loopback
# address included, and whoever it becomes. Nothing is kept: one box cannot poison another's
# answers. Names of the machine's /etc/hosts are nobody's business. Started again whenever it ends,
# and it ends with us.
resolve() {
    user=dnsmasq
    id -u "$user" >/dev/null 2>&1 || user=nobody
    child=
    trap 'kill $child 2>/dev/null || true; exit 0' TERM INT
    while :; do
        setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --no-new-privs \
            --pdeathsig KILL -- \
            dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --log-facility=- \
            --port="$dns" --listen-address="$host" --bind-interfaces \
            --resolv-file="$resolv_conf" --strict-order --no-hosts --cache-size=0 \
            --dns-forward-max=4096 --edns-packet-max=1232 \
            --local=/host.docker.internal/@HOST@/ \
            --host-record=host.docker.internal,@HOST@,"$host" &
        child=$!
        wait "$child" || true
        sleep 1 &
        child=$!
        wait "$child" || true
    done
}

# Hands over to proxies what boxes ask of them. Ends with us, as above.
forward() {
    [ -n "$proxies" ] || exit 0
    user=nobody
    child=
    trap 'kill $child 2>/dev/null || true; exit 0' TERM INT
    while :; do
        # shellcheck disable=SC2086 # numbers
        setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --no-new-privs \
            --inh-caps=-all --pdeathsig KILL -- \
            /usr/bin/python3 -IS "${0%/*}/containai_runtime/forward.py" "$host" @PROXY@ $proxies &
        child=$!
        wait "$child" || true
        sleep 1 &
        child=$!
        wait "$child" || true
    done
}

# Hands out images of one registry, and keeps them below a bound. What is of another registry goes:
# a name there is another image. Ends with us, as above, or once there is to be none.
cache() {
    is_cached || exit 0
    user=docker-registry
    id -u "$user" >/dev/null 2>&1 || user=nobody
    kept=$(sed -n 's/^ *rootdirectory: //p' "$cache_config")
    store=${kept%/*}
    child=
    pause=
    trap 'kill $child $pause 2>/dev/null || true; exit 0' TERM INT
    while is_cached; do
        is_as_configured || rm -rf --one-file-system "$store"
        mkdir -p -m 0755 "$store"
        cp "$cache_config" "$store/config.yml"
        install -d -m 0700 -o "$user" -g "$(id -g "$user")" "$kept"
        (
            # It asks whom the engine asks, by the same proxies.
            set -a
            # shellcheck source=/dev/null
            [ ! -e "$told_proxies" ] || . "$told_proxies"
            for_cache docker-registry serve "$store/config.yml"
        ) >>"$store/log" 2>&1 &
        child=$!
        while kill -0 "$child" 2>/dev/null && is_as_configured && is_bounded; do
            [ "$(stat -c %s "$store/log")" -lt 1048576 ] || : >"$store/log"
            sleep 5 &
            pause=$!
            wait "$pause" || true
        done
        kill "$child" 2>/dev/null || true
        wait "$child" || true
        is_bounded || (for_cache find "$kept" -mindepth 1 -delete)
        sleep 1 &
        pause=$!
        wait "$pause" || true
    done
    rm -rf --one-file-system "$store"
}

is_cached() { grep -qs '^proxy:' "$cache_config"; }

is_as_configured() { cmp -s "$cache_config" "$store/config.yml"; }

for_cache() {
    exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --no-new-privs \
        --inh-caps=-all --pdeathsig KILL -- "$@"
}

# Whether what is kept is little, or below its bound with 2 GiB free beside it.
is_bounded() {
    used=$(du -sk "$kept" | cut -f 1)
    [ "$used" -gt 1024 ] || return 0
    [ "$used" -le "$(sed -n 's/^# limit: //p' "$cache_config")" ] || return 1
    [ "$(df -k --output=avail "$kept" | tail -n 1)" -ge 2097152 ]
}
