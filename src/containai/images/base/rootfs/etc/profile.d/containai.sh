# /etc/profile sets PATH anew; ~/.profile adds ~/.local/bin only where it existed at log-in.
case ":$PATH:" in
*":$HOME/.local/bin:"*) ;;
*) PATH="$HOME/.local/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin" ;;
esac
# What the box's user gives it, for who logs in at a terminal.
[ ! -r /etc/containai/variables.sh ] || . /etc/containai/variables.sh
# sshd's, for a command: see /usr/local/lib/containai/session.
if [ "${BASH_ENV-}" = /usr/local/lib/containai/session ]; then
    unset BASH_ENV
    SHLVL=1
    # Whoever logs in is in the workspace.
    [ "$PWD" != "$HOME" ] || [ ! -d ~/workspace ] || cd ~/workspace
fi
