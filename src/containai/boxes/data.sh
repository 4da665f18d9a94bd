# What is in a data volume, as a tar archive: ACTION
# Runs in a container of its own, with the rights of a box and no network: whatever lies there, or is
# in an archive, is its own affair.
#
#     pour       unpack one from stdin, as the agent: what it says of owners does not count
#     drain      write one to stdout
#     python     run a script of cai's as the agent: its text, its arguments
#     unpack     unpack one from stdin beside what is there, as it was packed
#     swap       have what was unpacked in the place of what is there; goes on where it was interrupted
#     discard    remove what was unpacked
set -eu
action=$1
cd /mnt/agent-data
# Those that an agent makes its home's files of are its own.
chown agent:agent .

# Names are the archive's, or the agent's: no more of them is said than a person reads.
said() {
    code=0
    "$@" 2>/run/said || code=$?
    tail -n 3 /run/said | tail -c 600 >&2
}

# Beside the data, until all of it is there; what is to go in; what goes out.
part=.containai-part new=.containai-new ready=.containai-ready old=.containai-old

moved() {
    find "$1" -mindepth 1 -maxdepth 1 ! -name '.containai-*' -exec mv --target-directory "$2" -- {} +
}

case $action in
    pour)
        said setpriv --reuid agent --regid agent --clear-groups --no-new-privs \
            tar --extract --preserve-permissions --no-same-owner --delay-directory-restore
        exit "$code"
        ;;
    python)
        shift
        exec setpriv --reuid agent --regid agent --clear-groups --no-new-privs \
            /usr/bin/python3 -IS -c "$@"
        ;;
    drain)
        # What is exchanged for a link meanwhile is not followed, and not in it.
        said tar --create --format pax --ignore-failed-read --sparse --acls \
            --xattrs --xattrs-include 'user.*' --xattrs-include security.capability --exclude './.containai-*' .
        # A file that changed or went meanwhile.
        [ "$code" != 1 ] || code=0
        exit "$code"
        ;;
    unpack)
        rm -rf "$part"
        mkdir -m 0700 "$part"
        # The program `data` of boxes makes it so, too.
        chmod 0755 .
        said tar --extract --directory "$part" --preserve-permissions --same-owner --acls --xattrs \
            --xattrs-include 'user.*' --xattrs-include security.capability \
            --delay-directory-restore --exclude '.containai-*' --exclude './.containai-*' --anchored
        [ "$code" = 0 ] || rm -rf "$part"
        exit "$code"
        ;;
    swap)
        [ ! -d "$part" ] || [ -e "$new" ] || [ -e "$ready" ] || {
            rm -rf "$old"
            sync --file-system .
            mv --no-target-directory "$part" "$new"
        }
        if [ -d "$new" ]; then
            mkdir -p "$old"
            moved . "$old"
            mv --no-target-directory "$new" "$ready"
        fi
        [ ! -d "$ready" ] || { moved "$ready" . && rmdir "$ready"; }
        sync --file-system .
        rm -rf "$old" "$part"
        ;;
    discard) rm -rf "$part" ;;
    *) echo "data: there is no action '$action'" >&2; exit 2 ;;
esac
