"""Projects of four languages, each with a dependency of its registry, build and test in `full`."""

import pytest

PROJECTS = {
    "rust": r"""
cargo init --quiet --name app . && cargo add --quiet itoa
cat >>src/main.rs <<'END'
#[test]
fn adds() { assert_eq!(itoa::Buffer::new().format(42), "42"); }
END
cargo build --quiet && cargo test --quiet && cargo clippy --quiet
""",
    "go": r"""
go mod init example.org/app
cat >main.go <<'END'
package main

import ("fmt"; "rsc.io/quote/v3")

func main() { fmt.Println(quote.HelloV3()) }
END
cat >main_test.go <<'END'
package main

import ("testing"; "rsc.io/quote/v3")

func TestSays(t *testing.T) { if quote.HelloV3() == "" { t.Fatal("nothing") } }
END
go mod tidy && go build ./... && go test ./...
""",
    "node": r"""
npm init --yes >/dev/null && npm install --no-audit --no-fund is-odd
cat >app.test.js <<'END'
const test = require("node:test"), assert = require("node:assert"), odd = require("is-odd");
test("counts", () => assert(odd(3)));
END
node --test
""",
    "python": r"""
uv init --quiet --name app . && uv add --quiet idna && uv add --quiet --dev pytest
printf 'import idna\n\n\ndef test_it():\n    assert idna.encode("ä") == b"xn--4ca"\n' >test_app.py
uv run pytest -q && ruff check .
python3 -m venv v && v/bin/pip install -q idna && v/bin/python -c "import idna"
""",
}


#: What each says of a test that passed.
PASSED = {"rust": b"1 passed", "go": b"ok", "node": b"pass 1", "python": b"1 passed"}


@pytest.mark.parametrize("language", PROJECTS)
def test_a_project_builds_and_tests(full, language):
    script = f"mkdir -p ~/projects/{language} && cd ~/projects/{language}\n{PROJECTS[language]}"
    assert PASSED[language] in full.run("sh", "-ec", script).stdout


def test_nvm_takes_another_node_by_a_file(full):
    versions = full.sh("ls ~/.nvm/versions/node").split()
    assert len(versions) >= 2
    for version in versions:
        full.sh(f"mkdir -p ~/pinned && echo {version} >~/pinned/.nvmrc")
        use = 'cd ~/pinned && . "$NVM_DIR/nvm.sh" && nvm use >/dev/null && node --version'
        assert full.run("bash", "-c", use).stdout.decode().strip() == version
    assert full.sh("node --version") in versions


def test_what_npm_installs_without_root_is_found(full):
    full.run("npm", "install", "--global", "--no-audit", "--no-fund", "semver")
    assert full.run("semver", "1.2.3").stdout == b"1.2.3\n"
