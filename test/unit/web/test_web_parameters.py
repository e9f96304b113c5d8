from __future__ import annotations

import pytest

from evio_ros.errors import ParameterError
from evio_ros.web.web_parameters import WebParameters


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_token(host):
    assert WebParameters(host=host).secret() == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_whatever_others_reach_needs_a_token(host):
    with pytest.raises(ParameterError, match="token"):
        WebParameters(host=host)
    assert WebParameters(host=host, token="x" * 16).secret() == "x" * 16


@pytest.mark.parametrize("token", ["short", "ä" * 20])
def test_tokens_that_are_easily_guessed_are_refused(token):
    with pytest.raises(ParameterError, match="token"):
        WebParameters(token=token)


def test_the_token_may_lie_in_a_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("abcdefghijklmnop\nsecond line\n")
    assert WebParameters(host="0.0.0.0", token_file=str(path)).secret() == "abcdefghijklmnop"
    path.write_text("short\n")
    with pytest.raises(ParameterError, match="shorter"):
        WebParameters(token_file=str(path)).secret()
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(ParameterError, match="token_file"):
        WebParameters(token_file=str(path)).secret()
    with pytest.raises(ParameterError, match="none: No such file"):
        WebParameters(token_file=str(tmp_path / "none")).secret()
    with pytest.raises(ParameterError, match="one of them"):
        WebParameters(token="x" * 16, token_file=str(path))
