# What programs are built with.
# shellcheck disable=SC2046 # the names have no blanks
install_packages $(sed 's/#.*//' packages.txt)
for package in gcc cmake gdb git-lfs; do
    tool "$package" "$(dpkg-query --show --showformat '${Version}' "$package")"
done
