"""An image for the Docker of a box, made of the box's own programs: there is no registry."""

#: Of bash and curl, with no certificate but one of its own: what a small image has.
NESTED = r"""
set -e
mkdir -p /tmp/nest/root/etc/ssl/certs /tmp/nest/root/tmp && cd /tmp/nest
programs='/bin/bash /usr/bin/curl /usr/bin/env /usr/bin/cat'
libraries=$(for each in $programs; do ldd $each; done | grep -o '/[^ ]*\.so[^ ]*' | sort -u)
tar -ch $programs $libraries 2>/dev/null | tar -x -C root
cat /usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt >root/etc/ssl/certs/ca-certificates.crt
tar -C root -c . | docker import - nested >/dev/null
"""
