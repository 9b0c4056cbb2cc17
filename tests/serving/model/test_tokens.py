"""A server that counts tokens, and does not answer."""

import socket

import pytest

from serving.gateway.task import Message
from serving.model.tokens import ServerTokenizer


def test_a_server_that_gave_no_answer_is_left_alone_for_a_while():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        count = ServerTokenizer(f"http://127.0.0.1:{server.getsockname()[1]}", "m", "vllm")
        assert count([Message("user", "hello")]) == 0
        server.listen()
        server.setblocking(False)
        assert count([Message("user", "hello")]) == 0
        with pytest.raises(BlockingIOError):
            server.accept()
