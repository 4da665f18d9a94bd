#!/bin/sh
# The network of ContainAI's boxes: their bridge, address translation, and what may be forwarded.
# Written by cai. Runs as root at boot, before the engine, and after a restart of the firewall.
#
#     network up|check|down BRIDGE ADDRESS/PREFIX POOL
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

action=$1 bridge=$2 address=$3 pool=$4

# The rules that other chains need, in nft's words and in iptables'.
NFT_OUT="ip saddr $pool accept"
NFT_BACK="ip daddr $pool ct state established,related accept"

own_table() {
    cat <<END
table ip $bridge
delete table ip $bridge
table ip $bridge {
    chain forward {
        type filter hook forward priority filter
        # Nobody else's packets under our addresses, nothing from box to box.
        ip saddr $pool fib saddr . iif oif missing drop
        iifname "$bridge" oifname "$bridge" drop
        # Other bridges are other machines' and containers': only what they publish on the host.
        ip daddr $pool ct state established,related accept
        ip saddr $pool ct status dnat accept
        iifname "$bridge" meta oifkind "bridge" drop
        oifname "$bridge" drop
        ip saddr != $pool ip daddr $pool drop
    }
    chain postrouting {
        type nat hook postrouting priority srcnat
        ip saddr $pool ip daddr != $pool masquerade
    }
}
END
}

# Frames between two ports of the bridge do not pass the chains above.
isolation_table() {
    cat <<END
table bridge $bridge
delete table bridge $bridge
table bridge $bridge {
    chain forward {
        type filter hook forward priority filter
        meta ibrname "$bridge" drop
    }
}
END
}

isolate() {
    isolation_table | nft -f - 2>/dev/null && return
    # A kernel without nft_meta_bridge: let the frames of this bridge, and only this, pass the
    # chains for packets.
    [ -d /proc/sys/net/bridge ] || modprobe -q br_netfilter ||
        { echo "network: this kernel cannot keep boxes apart: it has neither nft_meta_bridge nor br_netfilter" >&2; exit 1; }
    nft -f - <<END
table ip6 $bridge
delete table ip6 $bridge
table ip6 $bridge {
    chain forward {
        type filter hook forward priority filter
        iifname "$bridge" oifname "$bridge" drop
    }
}
END
    ip link set "$bridge" type bridge nf_call_iptables 1 nf_call_ip6tables 1
}

is_isolated() {
    nft list table bridge "$bridge" >/dev/null 2>&1 ||
        { nft list table ip6 "$bridge" >/dev/null 2>&1 &&
            ip -details link show "$bridge" | grep -q 'nf_call_iptables 1'; }
}

# Print "FAMILY TABLE CHAIN HANDLE" of every chain of others that ends in a drop: by its policy, or
# by a last rule (whose handle it is, else 0). iptables' own chain is not among them: see below.
dropping_chains() {
    nft list chains 2>/dev/null | awk '
        $1 == "table" { family = $2; table = $3 }
        $1 == "chain" { chain = $2 }
        /hook forward/ && (family == "ip" || family == "inet") { print family, table, chain }
    ' | while read -r family table chain; do
        case $family/$table/$chain in */"$bridge"/* | ip/filter/FORWARD) continue ;; esac
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
    dropping_chains | while read -r family table chain handle; do
        withdraw_from "$family" "$table" "$chain"
        for rule in "$NFT_OUT" "$NFT_BACK"; do
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

# Also where nothing drops yet: Docker and ufw may come later, and set their policy then.
join_iptables() {
    has_iptables || return 0
    iptables -w -N "$bridge" 2>/dev/null || iptables -w -F "$bridge"
    iptables -w -A "$bridge" -s "$pool" -j ACCEPT
    iptables -w -A "$bridge" -d "$pool" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    while iptables -w -D FORWARD -j "$bridge" 2>/dev/null; do :; done
    # Before a last rule that drops all the rest.
    at=$(iptables -w -S FORWARD | awk '
        /^-A/ { count++; last = /^-A FORWARD -j (DROP|REJECT)/ } END { print last ? count : 0 }')
    if [ "$at" = 0 ]; then
        iptables -w -A FORWARD -j "$bridge"
    else
        iptables -w -I FORWARD "$at" -j "$bridge"
    fi
}

leave_iptables() {
    has_iptables || return 0
    while iptables -w -D FORWARD -j "$bridge" 2>/dev/null; do :; done
    iptables -w -F "$bridge" 2>/dev/null || return 0
    iptables -w -X "$bridge"
}

addresses() { ip -4 -oneline address show dev "$bridge" 2>/dev/null | awk '{ print $4 }'; }

has_bridge() { ip link show "$bridge" >/dev/null 2>&1; }

up() {
    has_bridge || ip link add "$bridge" type bridge
    ip address replace "$address" dev "$bridge"
    addresses | while read -r other; do
        [ "$other" = "$address" ] || ip address delete "$other" dev "$bridge"
    done
    ip link set "$bridge" up
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo 1 >/proc/sys/net/ipv4/ip_forward
    own_table | nft -f -
    isolate
    join_iptables
    join_chains
}

# Print what is missing, a line each; end with 1 if anything is.
check() {
    missing=$(
        has_bridge || echo "the bridge $bridge"
        [ "$(addresses)" = "$address" ] || echo "the address $address"
        [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo "forwarding (net.ipv4.ip_forward)"
        nft list chain ip "$bridge" postrouting 2>/dev/null | grep -q masquerade || echo "the table ip $bridge"
        ! has_bridge || is_isolated || echo "the isolation of boxes"
        ! has_iptables || iptables -w -C FORWARD -j "$bridge" 2>/dev/null || echo "the rule in iptables' FORWARD"
        dropping_chains | while read -r family table chain _; do
            [ -n "$(our_handles "$family" "$table" "$chain")" ] || echo "the rule in $family $table $chain"
        done
    )
    [ -z "$missing" ] || { printf '%s\n' "$missing"; exit 1; }
}

down() {
    leave_chains
    leave_iptables
    for family in ip ip6 bridge; do nft delete table "$family" "$bridge" 2>/dev/null || true; done
    ip link delete "$bridge" 2>/dev/null || true
}

case $action in
    up | check | down) "$action" ;;
    *) echo "network: there is no action '$action'" >&2; exit 2 ;;
esac
