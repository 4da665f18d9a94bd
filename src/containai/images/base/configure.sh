#!/bin/sh
# Makes a Debian or an Ubuntu with the packages a box: its files, its user, its units.
set -eu
cd "$(dirname "$0")"

# Modes are set here: a wheel and a checkout keep none but "executable".
(cd rootfs && find . -type f) | while read -r path; do
    case $path in
    ./usr/local/lib/*) mode=0755 ;;
    ./etc/sudoers.d/*) mode=0440 ;;
    *) mode=0644 ;;
    esac
    install -D -m "$mode" "rootfs/$path" "/$path"
done

# Ubuntu's image has a user with the agent's id.
other=$(getent passwd 1000 | cut -d: -f1)
[ -z "$other" ] || userdel --remove "$other" 2>/dev/null

# The user. No password: keys only. Docker's group is the Docker inside the box.
groupadd --gid 1000 agent
useradd --uid 1000 --gid agent --groups docker,sudo,systemd-journal --create-home \
    --shell /bin/bash --comment 'AI coding agent' agent
usermod --password '*' agent
usermod --password '*' root
# Its ids for user namespaces: a box has 262,144, of which the first 65,536 are its own users'.
echo agent:65536:131072 | tee /etc/subuid >/etc/subgid
install -d -o agent -g agent /home/agent/workspace /home/agent/.local /home/agent/.local/bin \
    /mnt/agent-data
# `npm install -g` without root, and what it brings on the PATH (~/.local/bin is). Not in ~/.npmrc:
# nvm refuses a user's prefix. The first file is what Debian's npm reads, the second every other one
# of a Node in /usr/bin; those of nvm have a directory of their own. Root's stay in /usr/local.
install -d /usr/etc
# shellcheck disable=SC2016 # npm expands it
echo 'prefix=${HOME}/.local' | tee /etc/npmrc >/usr/etc/npmrc
echo 'prefix=/usr/local' >/root/.npmrc
# Its own systemd is up with the box: a first log-in does not wait for it, its services do not end
# with the last.
install -d /var/lib/systemd/linger
: >/var/lib/systemd/linger/agent
# What etc-files and region remember.
install -d /var/lib/containai/etc/before /var/lib/containai/etc/now /var/lib/containai/region
# Its keys, placed from outside.
install -d -m 0755 /etc/containai /etc/containai/authorized_keys

# Kubernetes' interface, which Docker does not use: a listener and memory in every box.
containerd=/etc/containerd/config.toml
[ -e "$containerd" ] || { mkdir -p /etc/containerd && echo 'version = 2' >"$containerd"; }
sed -i '/^version/a disabled_plugins = ["io.containerd.grpc.v1.cri"]' "$containerd"

install -d /etc/systemd/system-generators
sed 's/#.*//; /^$/d' masked-units.txt | while read -r unit; do
    case $unit in
    *-generator) ln -s /dev/null "/etc/systemd/system-generators/$unit" ;;
    *)
        # What else requires it (Ubuntu's ssh.service its socket) does so by a link.
        rm -f "/etc/systemd/system/"*.requires/"$unit" "/etc/systemd/system/"*.wants/"$unit"
        ln -sf /dev/null "/etc/systemd/system/$unit"
        ;;
    esac
done
# GnuPG starts its programs itself, and listeners of theirs are in the way of forwarded ones.
systemctl --root=/ --global --quiet mask dirmngr.socket gpg-agent.socket gpg-agent-browser.socket \
    gpg-agent-extra.socket gpg-agent-ssh.socket keyboxd.socket ssh-agent.socket
# The same at every start of the agent's systemd: entries of a desktop's autostart.
install -d /etc/systemd/user-generators
ln -s /dev/null /etc/systemd/user-generators/systemd-xdg-autostart-generator
systemctl --root=/ --quiet enable containai-init.service ssh.service docker.service \
    containai-docker-idle.timer
systemctl --root=/ --global --quiet enable containai-jobs.service
systemctl --root=/ --quiet set-default multi-user.target

echo LANG=C.UTF-8 >/etc/locale.conf
: >/etc/motd
rm -f /etc/update-motd.d/* /etc/fstab
# The client's locales do not exist here, and programs complain of it on every start.
sed -i '/^AcceptEnv/d' /etc/ssh/sshd_config
# OpenSSH before 9.8 neither has it nor starts with what it does not know.
grep -qi persourcepenalties "$(command -v sshd)" ||
    sed -i '/^PerSourcePenalties/d' /etc/ssh/sshd_config.d/10-containai.conf
# A terminal that Debian does not know yet.
echo 'xterm-ghostty|Ghostty terminal, use=xterm-256color,' | tic -x -
ln -sf "$(command -v fdfind)" /usr/local/bin/fd
# There is no desktop: who asks for a browser asks whoever is before the box.
ln -sf /usr/local/lib/containai/open /usr/local/bin/xdg-open

# Every zsh knows what the box's user gives it, as every bash of a session does.
# shellcheck disable=SC2016 # zsh expands it
[ ! -d /etc/zsh ] || echo '[ ! -r /etc/containai/variables.sh ] || . /etc/containai/variables.sh' >>/etc/zsh/zshenv

# As /etc/profile.d/containai.sh for other shells that somebody may log in with.
# shellcheck disable=SC2016 # they expand it
[ ! -d /etc/zsh ] || echo 'if [[ ${BASH_ENV-} == /usr/local/lib/containai/session ]]; then
    unset BASH_ENV
    SHLVL=1
    [[ $PWD != $HOME || ! -d ~/workspace ]] || cd ~/workspace
fi' >>/etc/zsh/zprofile
# shellcheck disable=SC2016
[ ! -d /etc/fish ] || echo 'if status is-login; and test "$BASH_ENV" = /usr/local/lib/containai/session
    set --erase BASH_ENV
    test "$PWD" = "$HOME"; and test -d ~/workspace; and cd ~/workspace
end' >/etc/fish/conf.d/containai.fish

# zsh would ask who starts it first how it is to be.
echo '# Yours. /etc/zsh/zshrc is read before.' >/etc/skel/.zshrc
install -o agent -g agent -m 0644 /etc/skel/.zshrc /home/agent/.zshrc

# shellcheck source=/dev/null
. /etc/os-release
manifest=/usr/local/lib/containai/manifest
"$manifest" base source "$SOURCE" "$PRETTY_NAME"
for package in $(sed 's/#.*//' packages.txt | tr '|' ' ' | tr -d '?'); do
    version=$(dpkg-query --show --showformat '${Version}' "$package" 2>/dev/null) || continue
    [ -z "$version" ] || "$manifest" base tool "$package" "$version"
done
command -v docker-buildx >/dev/null || [ -e /usr/libexec/docker/cli-plugins/docker-buildx ] ||
    "$manifest" base left-out docker-buildx "$PRETTY_NAME has no such package"

/usr/local/lib/containai/note-agent

# Empty, not missing: an id of its own for each box, and not a first boot (machine-id(5)).
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
# ConditionNeedsUpdate= compares these with /usr.
touch /etc/.updated /var/.updated
