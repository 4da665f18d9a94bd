# usage: COMMIT
# Has a commit kept that both sides have.
enter
git update-ref refs/cai/base "$1"
