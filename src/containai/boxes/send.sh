# usage: HOST IMAGES WORDS...
# Hands images of the engine at HOST, as `docker save` writes them, to a container of it: `docker run`
# with WORDS. IMAGES are references with blanks between them.
set -euf
host=$1 images=$2
shift 2
# shellcheck disable=SC2086 # words
docker --host "$host" save $images | docker --host "$host" run "$@"
