# Tools for Python, beside the distribution's Python and pipx.
at=/usr/local/lib/python-tools
# shellcheck disable=SC2086 # a line each
echo $PYTHON_TOOLS | sed 's/ \([a-z]*==\)/\n\1/g' >/tmp/tools.txt
python3 -m venv --without-pip "$at"
pip --python "$at/bin/python" install --no-deps --require-hashes --requirement /tmp/tools.txt
for program in uv uvx ruff pytest; do
    ln -s "$at/bin/$program" "/usr/local/bin/$program"
done
for program in uv ruff pytest; do
    tool "$program" "$("$program" --version | sed 's/^[a-z]* //; s/ .*//')"
done
tool python "$(python3 --version | sed 's/Python //')"
