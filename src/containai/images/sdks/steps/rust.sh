# Rust: rustup and a tool chain that is the agent's own, or Debian's.
if [ "$SOURCE" = upstream ]; then
    host=$(uname -m)-unknown-linux-gnu
    fetch "https://static.rust-lang.org/rustup/archive/$RUSTUP/$host/rustup-init" /tmp/rustup-init \
        "$(of RUSTUP_SHA256)" sha256sum
    chmod 0755 /tmp/rustup-init
    runuser -u agent -- env HOME=/home/agent /tmp/rustup-init -y --profile minimal \
        --component clippy,rustfmt --default-toolchain "$RUST" --default-host "$host"
    tool rustup "$RUSTUP"
    tool rust "$(runuser -u agent -- env HOME=/home/agent /home/agent/.cargo/bin/rustc --version)"
else
    install_packages rustc cargo rust-clippy rustfmt
    left_out rustup "its tool chains are not in the archive, which has $(rustc --version)"
    tool rust "$(rustc --version)"
fi
