# Run as root in a box that is being probed: does everything a box is for, once, without a network.
# What fails is named on the last line of stderr.
set -eu
fail() {
    echo "$1" >&2
    exit 1
}

# In its first moments systemd does not answer: --wait would not wait.
tries=1500
until state=$(systemctl is-system-running 2>/dev/null) || [ "$state" = degraded ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || break
    sleep 0.2
done
for unit in ssh.service docker.service; do
    systemctl --quiet is-active "$unit" ||
        fail "$unit is not running (systemd says: $state, $(systemctl show -P Result "$unit"))"
done
read -r _ base _ </proc/self/uid_map
[ "$base" != 0 ] || fail "root in the box is root outside"

cd "$(mktemp -d)"
install -D /bin/sh root/bin/sh
ldd /bin/sh | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "root$library"
done
tar -c -C root . | docker import - cai-probe >image 2>&1 || fail "docker import: $(tail -n 1 image)"
docker run --rm --network none cai-probe /bin/sh -c 'echo ran' >run 2>&1 ||
    fail "docker run: $(tail -n 1 run)"
printf 'FROM cai-probe\nRUN echo built >/built\n' >Dockerfile
docker build --quiet --network none . >build 2>&1 || fail "docker build: $(tail -n 1 build)"

runuser -u agent -- sh -c 'echo agent >/home/agent/workspace/probe' ||
    fail "the agent cannot write its workspace"
