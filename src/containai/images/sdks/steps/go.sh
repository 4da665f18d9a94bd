# Go: its makers', or Debian's, which fetches newer ones through the module proxy.
if [ "$SOURCE" = upstream ]; then
    fetch "https://dl.google.com/go/go$GO.linux-$architecture.tar.gz" /tmp/go.tar.gz \
        "$(of GO_SHA256)" sha256sum
    tar -xzf /tmp/go.tar.gz -C /usr/local --no-same-owner
    ln -s ../go/bin/go ../go/bin/gofmt /usr/local/bin/
else
    install_packages golang-go
    left_out "go $GO" "Debian's archive has $(go env GOVERSION); a newer one is fetched where a go.mod says so"
fi
tool go "$(go env GOVERSION)"
