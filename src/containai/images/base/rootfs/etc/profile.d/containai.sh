# /etc/profile sets PATH anew; ~/.profile adds ~/.local/bin only where it existed at log-in.
case ":$PATH:" in
*":$HOME/.local/bin:"*) ;;
*) PATH="$HOME/.local/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin" ;;
esac
# sshd's, for a command: see /usr/local/lib/containai/session.
if [ "${BASH_ENV-}" = /usr/local/lib/containai/session ]; then
    unset BASH_ENV
    SHLVL=1
fi
