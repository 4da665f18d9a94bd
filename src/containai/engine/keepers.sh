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

# Hands over to the proxy what boxes ask of it. Ends with us, as above.
forward() {
    [ -n "$proxy" ] || exit 0
    user=nobody
    child=
    trap 'kill $child 2>/dev/null || true; exit 0' TERM INT
    while :; do
        setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --no-new-privs \
            --inh-caps=-all --pdeathsig KILL -- \
            /usr/bin/python3 -IS "${0%/*}/containai_runtime/forward.py" "$host" @PROXY@ "$proxy" &
        child=$!
        wait "$child" || true
        sleep 1 &
        child=$!
        wait "$child" || true
    done
}
