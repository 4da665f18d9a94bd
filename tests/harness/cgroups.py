"""Whether cgroups of a box are bounded, tried by its root."""

#: How deep and how many cgroups the kernel lets the box's root make; then all of them are removed.
BOUNDED = r"""
cd /sys/fs/cgroup && mkdir cai-test && cd cai-test
deep=0
while [ $deep -lt 100 ] && mkdir d 2>/dev/null; do cd d; deep=$((deep + 1)); done
cd /sys/fs/cgroup/cai-test
many=0
while [ $many -lt 2000 ] && mkdir n$many 2>/dev/null; do many=$((many + 1)); done
find /sys/fs/cgroup/cai-test -depth -type d -exec rmdir {} +
[ $deep -ge 10 ] && [ $deep -lt 32 ] && [ $many -ge 500 ] && [ $many -lt 1024 ] && echo bounded
"""
