# /etc/profile sets PATH anew; ~/.profile adds ~/.local/bin only where it existed at log-in.
case ":$PATH:" in
*":$HOME/.local/bin:"*) ;;
*) PATH="$HOME/.local/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin" ;;
esac
