"""What boxes do not reach of the server that they are on: its services, and its identity. Pure.

Beside Incus's own rules, which let them reach every port of it. Addresses and names are asked of
the bridge itself. Boxes have no IPv6, which is dropped frame by frame: Incus does so only where
br_netfilter is loaded, and that has frames of every bridge go by the rules for packets.
"""

#: One of each bridge; systemd loads it at boot (`%i` is the bridge).
RULES = "/etc/containai/boxes-{bridge}.nft"
UNIT = "/etc/systemd/system/containai-boxes@.service"
#: Where clouds tell a machine who it is, as in attack/inside/addresses.py; all that is link-local.
IDENTITY = ("169.254.0.0/16", "100.100.100.200", "168.63.129.16", "192.0.0.192")

_UNIT = """\
[Unit]
Description=What boxes on %i do not reach of this server
Before=incus.service
Wants=network-pre.target
Before=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file /etc/containai/boxes-%i.nft
ExecReload=/usr/sbin/nft --file /etc/containai/boxes-%i.nft

[Install]
WantedBy=multi-user.target
"""


def rules(bridge: str) -> str:
    """Return the rules of a bridge, for nft: they take the place of those that there were."""
    packets, frames = f"inet containai-{bridge}", f"bridge containai-{bridge}"
    return f"""\
table {packets}
delete table {packets}
table {packets} {{
    chain input {{
        type filter hook input priority filter - 5; policy accept;
        iifname "{bridge}" ct state established,related accept
        iifname "{bridge}" ip protocol icmp accept
        iifname "{bridge}" udp dport {{ 53, 67 }} accept
        iifname "{bridge}" tcp dport 53 accept
        iifname "{bridge}" reject
    }}
    chain forward {{
        type filter hook forward priority filter - 5; policy accept;
        iifname "{bridge}" ip daddr {{ {", ".join(IDENTITY)} }} reject
        iifname "{bridge}" meta nfproto ipv6 drop
    }}
}}
table {frames}
delete table {frames}
table {frames} {{
    chain prerouting {{
        type filter hook prerouting priority filter - 5; policy accept;
        meta ibrname "{bridge}" ether type != {{ ip, arp }} drop
    }}
}}
"""


def script(bridge: str) -> str:
    """Return what has the rules of a bridge in force, now and after each boot."""
    file = RULES.format(bridge=bridge)
    return f"""\
install -d -m 0755 {file.rpartition("/")[0]}
cat >{file} <<'END'
{rules(bridge)}END
if [ -d /run/systemd/system ]; then
    cat >{UNIT} <<'END'
{_UNIT}END
    systemctl daemon-reload
    systemctl enable --quiet containai-boxes@{bridge}.service
    systemctl restart containai-boxes@{bridge}.service
else
    nft --file {file}
fi
"""
