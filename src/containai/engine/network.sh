#!/bin/sh
# The network of ContainAI's boxes: their bridge, address translation, and what may be forwarded.
# Written by cai. Runs as root at boot, before the engine, and after a restart of the firewall.
#
#     network up|check|tidy|down|resolve|forward|cache BRIDGE ADDRESS/PREFIX POOL OPENED PINS RESOLV_CONF
#
# OPENED is a file with the ports of the host that boxes may use, "tcp 5432" a line. PINS is the
# directory in which cai-runc notes which port of the bridge has which MAC and address.
#
# The engine itself touches no firewall rule (daemon.json: "iptables": false): two dockerds would
# rewrite the same chains. What is ours has the bridge's name and lies in tables of its own.
#
# nftables: a packet has to pass every chain that hooks into forwarding, so an `accept` of ours
# cannot overrule a `drop` of somebody else's. Where another firewall drops what it does not know
# (Docker and ufw set such a policy), a rule of ours is put at the end of its chain: what the
# administrator forbids stays forbidden.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

action=$1 bridge=$2 address=$3 pool=$4 opened_file=$5 pins=$6 resolv_conf=$7
host=${address%/*}
# The name of an empty chain of ours: what made the rules, so that those of another version are seen.
maker=by-$(cksum <"$0" | cut -d ' ' -f 1)
# The resolver's port.
dns=@DNS@

# "tcp . 53, udp . 53" of what boxes need, and ", tcp . 5432" of what the user opened.
needed="tcp . $dns, udp . $dns"
# The ports of 127.0.0.1 on which proxies listen that boxes use, and where they are on the bridge.
proxies=$(sed -n 's/^\([0-9][0-9]*\)$/\1/p' "${opened_file%/*}/proxy-port" 2>/dev/null || true)
on_bridge=@PROXY@
for each in $proxies; do
    needed="$needed, tcp . $on_bridge"
    on_bridge=$((on_bridge + 1))
done
# Where there is a cache of images, it is on the bridge, too.
cache_config=${opened_file%/*}/cache.yml
told_proxies=${opened_file%/*}/docker/proxies
! grep -qs '^proxy:' "$cache_config" || needed="$needed, tcp . @CACHE@"
opened=$(sed -n 's/^\(tcp\|udp\) \([0-9]*\)$/, \1 . \2/p' "$opened_file" 2>/dev/null | tr -d '\n')

# The rules that other chains need, in nft's words.
nft_rules() {
    case $1 in
        forward)
            echo "ip saddr $pool accept"
            echo "ip daddr $pool ct state established,related accept"
            ;;
        input) echo "iifname \"$bridge\" meta l4proto . th dport { $needed$opened } accept" ;;
    esac
}

own_table() {
    cat <<END
@TABLE@
END
}

# Nothing of IPv6 enters or leaves.
own_table_6() {
    cat <<END
table ip6 $bridge
delete table ip6 $bridge
table ip6 $bridge {
    chain input {
        type filter hook input priority filter
        iifname "$bridge" drop
    }
    chain forward {
        type filter hook forward priority filter
        iifname "$bridge" drop
        oifname "$bridge" drop
    }
}
END
}

# Every port that cai-runc pinned: its name and "NAME . MAC . ADDRESS", of ports that are there.
pinned() {
    for pin in "$pins"/*; do
        ! ip link show "${pin##*/}" >/dev/null 2>&1 || echo "${pin##*/} $(cat "$pin")"
    done
}

# Pinned ports that are on no bridge: somebody removed ours, under boxes that run.
loose() {
    ip -oneline link show type veth 2>/dev/null |
        sed -n '/ master /!s/^[0-9]*: \([^@:]*\).*/\1/p' |
        while read -r port; do [ ! -f "$pins/$port" ] || echo "$port"; done
}

# A pinned port lets through what comes from, or goes to, its own MAC and address; ARP included,
# so that nobody takes another's. Other protocols (IPv6 among them) do not pass. What comes from a
# port that no box has is left to the chains for packets.
frames_table() {
    cat <<END
table bridge $bridge
delete table bridge $bridge
table bridge $bridge {
    set ports { type ifname; }
    set boxes { type ifname . ether_addr . ipv4_addr; }
    chain prerouting {
        type filter hook prerouting priority filter
        iifname != @ports accept
        ether type ip iifname . ether saddr . ip saddr @boxes accept
        ether type arp arp htype 1 arp plen 4 iifname . arp saddr ether . arp saddr ip @boxes \
            iifname . ether saddr . arp saddr ip @boxes accept
        drop
    }
    chain output {
        type filter hook output priority filter
        oifname != @ports accept
        ether type ip oifname . ether daddr . ip daddr @boxes accept
        ether type arp accept
        drop
    }
    $1
}
$(pin_elements)
END
}

pin_elements() {
    pinned | while read -r port element; do
        echo "add element bridge $bridge ports { $port }"
        echo "add element bridge $bridge boxes { $element }"
    done
}

# Frames between two ports of the bridge do not pass the chains for packets.
ISOLATION="chain forward {
        type filter hook forward priority filter
        meta ibrname \"$bridge\" drop
    }"

isolate() {
    if ! frames_table "$ISOLATION" | nft -f - 2>/dev/null; then
        # A kernel without nft_meta_bridge: let the frames of this bridge, and only this, pass the
        # chains for packets.
        [ -d /proc/sys/net/bridge ] || modprobe -q br_netfilter ||
            { echo "network: this kernel cannot keep boxes apart: it has neither nft_meta_bridge nor br_netfilter" >&2; exit 1; }
        frames_table "" | nft -f -
        ip link set "$bridge" type bridge nf_call_iptables 1 nf_call_ip6tables 1
    fi
    # Of boxes that started meanwhile.
    pin_elements | nft -f -
}

is_isolated() {
    nft list chain bridge "$bridge" prerouting >/dev/null 2>&1 || return 1
    nft list chain bridge "$bridge" forward >/dev/null 2>&1 ||
        ip -details link show "$bridge" | grep -q 'nf_call_iptables 1'
}

has_ipv6() { [ -d /proc/sys/net/ipv6 ]; }

ipv6_is_off() {
    ! has_ipv6 || {
        [ "$(cat "/proc/sys/net/ipv6/conf/$bridge/disable_ipv6" 2>/dev/null)" = 1 ] &&
            nft list table ip6 "$bridge" >/dev/null 2>&1
    }
}

# Print "FAMILY TABLE CHAIN HANDLE" of every chain of others at a hook that ends in a drop: by its
# policy, or by a last rule (whose handle it is, else 0). iptables' own is not among them: see below.
dropping_chains() {
    nft list chains 2>/dev/null | awk -v hook="hook $1" '
        $1 == "table" { family = $2; table = $3 }
        $1 == "chain" { chain = $2 }
        index($0, hook) && (family == "ip" || family == "inet") { print family, table, chain }
    ' | while read -r family table chain; do
        case $family/$table/$chain in ip/filter/FORWARD | ip/filter/INPUT) continue ;; esac
        # Ours, and those of another ContainAI (of a test) for its own bridge.
        case $table in cai0 | cai[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) continue ;; esac
        # shellcheck disable=SC2016 # awk's
        nft -a list chain "$family" "$table" "$chain" 2>/dev/null |
            awk -v name="$family $table $chain" '
                /policy drop/ { drops = 1 }
                / # handle / && $1 != "table" && $1 != "chain" {
                    handle = $NF
                    rule = $0
                    sub(/ # handle .*/, "", rule)
                    sub(/counter packets [0-9]+ bytes [0-9]+ /, "", rule)
                    last = rule ~ /^[ \t]*(drop|reject)/
                }
                END { if (last) print name, handle; else if (drops) print name, 0 }'
    done
}

# The handles of our rules in a chain of somebody else's.
our_handles() { nft -a list chain "$1" "$2" "$3" 2>/dev/null | sed -n "s/.*comment \"$bridge\" # handle //p"; }

withdraw_from() {
    for old in $(our_handles "$1" "$2" "$3"); do
        nft delete rule "$1" "$2" "$3" handle "$old"
    done
}

join_chains() {
    dropping_chains "$1" | while read -r family table chain handle; do
        withdraw_from "$family" "$table" "$chain"
        nft_rules "$1" | while read -r rule; do
            # shellcheck disable=SC2086 # words of nft's language
            if [ "$handle" = 0 ]; then
                nft add rule "$family" "$table" "$chain" $rule comment "\"$bridge\""
            else
                nft insert rule "$family" "$table" "$chain" position "$handle" $rule comment "\"$bridge\""
            fi
        done
    done
}

leave_chains() {
    nft list chains 2>/dev/null | awk '
        $1 == "table" { family = $2; table = $3 }
        $1 == "chain" { print family, table, $2 }
    ' | while read -r family table chain; do withdraw_from "$family" "$table" "$chain"; done
}

has_iptables() { command -v iptables >/dev/null; }

# Put our chain into one of iptables', before a last rule that drops all the rest. Also where
# nothing drops yet: Docker and ufw may come later, and set their policy then.
join_iptables() {
    while iptables -w -D "$1" -j "$2" 2>/dev/null; do :; done
    at=$(iptables -w -S "$1" | awk -v chain="$1" '
        /^-A/ { count++; last = $2 == chain && $3 == "-j" && $4 ~ /^(DROP|REJECT)/ }
        END { print last ? count : 0 }')
    if [ "$at" = 0 ]; then
        iptables -w -A "$1" -j "$2"
    else
        iptables -w -I "$1" "$at" -j "$2"
    fi
}

fill_iptables() {
    has_iptables || return 0
    for chain in "$bridge" "$bridge-in"; do
        iptables -w -N "$chain" 2>/dev/null || iptables -w -F "$chain"
    done
    iptables -w -A "$bridge" -s "$pool" -j ACCEPT
    iptables -w -A "$bridge" -d "$pool" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    echo "$needed$opened" | tr , '\n' | while read -r protocol _ port; do
        iptables -w -A "$bridge-in" -i "$bridge" -p "$protocol" --dport "$port" -j ACCEPT
    done
    join_iptables FORWARD "$bridge"
    join_iptables INPUT "$bridge-in"
}

leave_iptables() {
    has_iptables || return 0
    for hook in "FORWARD $bridge" "INPUT $bridge-in"; do
        # shellcheck disable=SC2086 # a chain of theirs and one of ours
        while iptables -w -D ${hook% *} -j ${hook#* } 2>/dev/null; do :; done
        iptables -w -F "${hook#* }" 2>/dev/null || continue
        iptables -w -X "${hook#* }"
    done
}

addresses() { ip -4 -oneline address show dev "$bridge" 2>/dev/null | awk '{ print $4 }'; }

has_bridge() { ip link show "$bridge" >/dev/null 2>&1; }

mac() { ip -oneline link show "$bridge" | sed 's/.* link\/ether \([0-9a-f:]*\) .*/\1/'; }

# Whether the MAC of the bridge was set (NET_ADDR_SET of netdevice.h). Where /sys is of another
# network namespace, nobody can tell.
has_mac() {
    how=$(cat "/sys/class/net/$bridge/addr_assign_type" 2>/dev/null) || return 0
    [ "$how" = 3 ]
}

up() {
    has_bridge || ip link add "$bridge" type bridge
    # What was set stays. Else a bridge takes the lowest MAC of its ports, which changes with a new
    # box, and all others send to the old one until they ask again: a minute of silence.
    ip link set "$bridge" address "$(mac)"
    ip address replace "$address" dev "$bridge"
    addresses | while read -r other; do
        [ "$other" = "$address" ] || ip address delete "$other" dev "$bridge"
    done
    ! has_ipv6 || echo 1 >"/proc/sys/net/ipv6/conf/$bridge/disable_ipv6"
    ip link set "$bridge" up
    for port in $(loose); do ip link set "$port" master "$bridge"; done
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo 1 >/proc/sys/net/ipv4/ip_forward
    own_table | nft -f -
    ! has_ipv6 || own_table_6 | nft -f -
    isolate
    fill_iptables
    join_chains forward
    join_chains input
    nft add chain ip "$bridge" "$maker"
    nft add chain ip "$bridge" "is-$(rules)"
}

# A number of what our tables say, without what comes and goes in their sets. The name of another
# empty chain has it: so what somebody took out of one of them is seen.
rules() {
    for family in ip ip6 bridge; do
        nft --stateless --terse list table "$family" "$bridge" 2>/dev/null || true
    done | sed '/chain is-[0-9]* {/,/}/d; /^$/d' | cksum | cut -d ' ' -f 1
}

# Whether what is open now is what is to be open. A machine without /etc/protocols has no names.
has_opened() {
    now=$(nft list set ip "$bridge" opened 2>/dev/null | port_numbers)
    [ "$now" = "$(echo "$needed$opened" | port_numbers)" ]
}

port_numbers() {
    sed 's/tcp/6/g; s/udp/17/g' | grep -o '[0-9][0-9]* \. [0-9][0-9]*' | sort -u
}

missing_pins() {
    now=$(nft list set bridge "$bridge" ports 2>/dev/null || true)
    pinned | while read -r port _; do
        case $now in *"\"$port\""*) ;; *) echo "what the port $port may send" ;; esac
    done
}

# Print what is missing, a line each; end with 1 if anything is.
check() {
    missing=$(
        has_bridge || echo "the bridge $bridge"
        [ "$(addresses)" = "$address" ] || echo "the address $address"
        [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo "forwarding (net.ipv4.ip_forward)"
        nft list chain ip "$bridge" postrouting 2>/dev/null | grep -q masquerade || echo "the table ip $bridge"
        nft list chain ip "$bridge" "$maker" >/dev/null 2>&1 || echo "the rules of this version"
        nft list chain ip "$bridge" "is-$(rules)" >/dev/null 2>&1 ||
            echo "rules of our tables, which are to keep boxes from each other, the host and metadata"
        has_opened || echo "the ports of the host that are open to boxes"
        ! has_bridge || has_mac || echo "that its MAC stays"
        ! has_bridge || ipv6_is_off || echo "that IPv6 is off"
        ! has_bridge || is_isolated || echo "the isolation of boxes"
        ! has_bridge || for port in $(loose); do echo "the bridge's port $port"; done
        missing_pins
        if has_iptables; then
            iptables -w -C FORWARD -j "$bridge" 2>/dev/null || echo "the rule in iptables' FORWARD"
            iptables -w -C INPUT -j "$bridge-in" 2>/dev/null || echo "the rule in iptables' INPUT"
        fi
        for hook in forward input; do
            dropping_chains $hook | while read -r family table chain _; do
                [ -n "$(our_handles "$family" "$table" "$chain")" ] || echo "the rule in $family $table $chain"
            done
        done
    )
    [ -z "$missing" ] || { printf '%s\n' "$missing"; exit 1; }
}

# Print links of which both ends are here, by names that dockerd gives, and which no container was
# given yet: "bridge", those of ours; "none", those that have no bridge yet and were never up.
strays() {
    ip -oneline link show type veth 2>/dev/null | awk -v "of=$1" -v "bridge= master $bridge " '
        function dockers(name) { return name ~ /^veth[0-9a-f]+$/ && length(name) == 11 }
        { split($2, ends, /[@:]/) }
        !dockers(ends[1]) || !dockers(ends[2]) { next }
        of == "bridge" && index($0, bridge) { print ends[1] }
        of == "none" && !/ master / && / qdisc noop / {
            new[ends[1]]
            if (ends[2] in new) print ends[1]
        }'
}

# Whether a dockerd runs that may make links here; those in boxes may not.
another_dockerd() {
    here=$(readlink /proc/self/ns/net)
    for name in $(grep -lx dockerd /proc/[0-9]*/comm 2>/dev/null); do
        [ "$(readlink "${name%comm}ns/net")" != "$here" ] || return 0
    done
    return 1
}

# Remove links that a killed dockerd had given to no container; the next one does not know of them.
# Only while ours does not run. Another may be about to use what has no bridge yet, which takes it
# milliseconds.
tidy() {
    found=$(strays none)
    [ -z "$found" ] || ! another_dockerd || sleep 10
    still=" $(strays none | tr '\n' ' ')"
    for port in $found; do
        case $still in *" $port "*) ip link delete "$port" || true ;; esac
    done
    for port in $(strays bridge); do ip link delete "$port" || true; done
}

down() {
    tidy
    leave_chains
    leave_iptables
    for family in ip ip6 bridge; do nft delete table "$family" "$bridge" 2>/dev/null || true; done
    ip link delete "$bridge" 2>/dev/null || true
}

# What this keeps alive: `resolve`, `forward` and `cache`.
@KEEPERS@
case $action in
    up | check | tidy | down | resolve | forward | cache) "$action" ;;
    *) echo "network: there is no action '$action'" >&2; exit 2 ;;
esac
