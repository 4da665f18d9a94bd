"""What of a workspace's own Dockerfile is taken, and what of it is sent."""

import pytest

from containai.errors import ImageError
from containai.images import dockerfile, recipe


def refused(text):
    with pytest.raises(ImageError) as raised:
        dockerfile.parse(text if isinstance(text, bytes) else text.encode())
    assert raised.value.hint
    return str(raised.value).removeprefix(".containai/Dockerfile")


def test_what_it_begins_with_is_a_layer():
    assert tuple(recipe.PARENTS) == dockerfile.LAYERS
    for name in dockerfile.LAYERS:
        assert dockerfile.parse(f"# mine\n\nfrom {name}\n".encode()).layer == name


@pytest.mark.parametrize("given", ["$CONTAINAI_BASE", "${CONTAINAI_BASE}"])
@pytest.mark.parametrize("default", ["", "=ghcr.io/containai/full"])
def test_or_what_the_settings_say(given, default):
    text = f"ARG CONTAINAI_BASE{default}\nFROM {given}\nRUN true\n"
    parsed = dockerfile.parse(text.encode())
    assert parsed.layer == ""
    assert "CONTAINAI_BASE" not in parsed.text


def test_what_is_sent():
    text = (
        "FROM base\n"
        "ARG X=1\n"
        "# of two lines\n"
        "RUN echo \\\n"
        "  # within\n"
        "\n"
        "\n"
        "  two\n"
        'SHELL ["/bin/bash", "-c"]\n'
        "user agent\n"
    )
    assert dockerfile.parse(text.encode()).text == (
        "ARG ROOT\n"
        "ARG SOURCE\n"
        "FROM ${ROOT}\n"
        "COPY certificates /build/certificates/\n"
        "COPY run finish /build/\n"
        'SHELL ["/bin/sh", "/build/run", "/bin/sh", "-c"]\n'
        "\n"
        "ARG X=1\n"
        "RUN echo \\\n"
        "  # within\n"
        "\n"
        "\n"
        "  two\n"
        'SHELL ["/bin/sh", "/build/run", "/bin/bash", "-c"]\n'
        "user agent\n"
        "USER 0:0\n"
        "WORKDIR /\n"
        'SHELL ["/bin/sh", "-c"]\n'
        'RUN ["/bin/sh", "/build/finish"]\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian",
        "FROM ghcr.io/containai/base",
        "FROM base AS x",
        "FROM --platform=linux/arm64 base",
        "FROM ${X}",
        "FROM ${CONTAINAI_BASE}",
        "ARG CONTAINAI_BASE\nFROM base",
        "ARG X=debian\nFROM $X",
        "ARG CONTAINAI_BASE X=debian\nFROM $X",
        "RUN true\nFROM base",
        "FROM base\nRUN true\nFROM debian",
        "FROM base\nfrom base\n",
        "FROM base\n  FROM base\n",
        "FROM base \\\n AS x",
        "",
        "# nothing\n",
        "ARG CONTAINAI_BASE\n",
    ],
)
def test_nothing_else_is_begun_with(text):
    assert refused(text).startswith(", line ")


@pytest.mark.parametrize(
    "line",
    [
        "COPY x /x",
        "COPY --from=debian /bin /bin",
        "ADD https://example.com/x /x",
        "CMD true",
        'ENTRYPOINT ["/x"]',
        "HEALTHCHECK CMD true",
        "ONBUILD RUN true",
        "STOPSIGNAL SIGKILL",
        "VOLUME /var/lib/docker",
        "MAINTAINER me",
        "RUN --network=host true",
        "RUN --mount=type=bind,from=debian,target=/x true",
        "RUN --security=insecure true",
        "RUN <<EOF",
        "RUN cat <<-'EOF' >/x",
        "LABEL containai.owner=0",
        'LABEL a=b "containai.managed"="true"',
        "LABEL a=b \\\n  Containai.x=1",
        "SHELL /bin/bash -c",
        "SHELL []",
        "SHELL [1]",
        "RUN x \\",
        "RUN x \\\n# and then nothing\n\n",
        "\tONBUILD\tRUN true",
    ],
)
def test_what_makes_something_else_of_a_box_is_refused_with_its_line(line):
    assert refused(f"FROM base\n\n{line}").startswith(", line 3: ")


@pytest.mark.parametrize(
    "first", ["# syntax=docker/dockerfile:1", "#escape=`", "# x\n# Check = skip=all"]
)
def test_no_directive_has_another_builder(first):
    assert "directives" in refused(f"{first}\nFROM base\n")


@pytest.mark.parametrize("odd", ["\r", "\x1b[8m", "\u202e", "\u200b", "\ufeff", "\0", "\x0b"])
def test_nothing_in_it_is_hidden(odd):
    assert f"U+{ord(odd[0]):04X}" in refused(f"FROM base\nRUN true {odd}\n")


def test_it_is_text():
    assert refused(b"FROM base\nRUN \xff") == " is not UTF-8"


@pytest.mark.parametrize(
    "line",
    [
        "RUN cat <<<x",
        "RUN test 1 -lt 2 && echo x <y",
        "LABEL org.example.containai.x=1",
        "RUN echo FROM debian",
        "ENV A=b C=d",
        "RUN x && \\\n    y",
        "RUN printf 'größer'",
    ],
)
def test_what_is_taken_is_sent_as_it_is(line):
    assert f"\n{line}\nUSER 0:0\n" in dockerfile.parse(f"FROM base\n{line}\n".encode()).text
