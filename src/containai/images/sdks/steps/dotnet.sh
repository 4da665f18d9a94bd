# The SDK of .NET, which no archive of Debian's has.
if [ "$SOURCE" = upstream ]; then
    case $architecture in amd64) machine=x64 ;; *) machine=$architecture ;; esac
    name=dotnet-sdk-$DOTNET-linux-$machine.tar.gz
    fetch "https://builds.dotnet.microsoft.com/dotnet/Sdk/$DOTNET/$name" /tmp/dotnet.tar.gz \
        "$(of DOTNET_SHA512)" sha512sum
    apt-get update
    install_packages "$(apt-cache --names-only search '^libicu[0-9]+$' | sort -V | sed -n '$s/ .*//p')"
    mkdir -p /usr/local/share/dotnet
    tar -xzf /tmp/dotnet.tar.gz -C /usr/local/share/dotnet --no-same-owner
    ln -s /usr/local/share/dotnet/dotnet /usr/local/bin/dotnet
    tool dotnet "$DOTNET"
else
    left_out dotnet "Debian's archive has no SDK of .NET; images of source upstream have it"
fi
