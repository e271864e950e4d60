"""A taken port is no reason to stop."""

import socket
from pathlib import Path

from cli.dev_ports import choose_ports
from cli.embedded_postgres import free_port


def test_a_taken_port_is_replaced_and_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port(8080)))
        other.listen()
        said: list[str] = []
        ports = choose_ports(tmp_path, said.append)
    assert ports.api != 8080
    assert f"port 8080 is taken: api listens on {ports.api}" in said


def test_no_port_is_given_twice(tmp_path: Path) -> None:
    ports = vars(choose_ports(tmp_path, print)).values()
    assert len(set(ports)) == len(ports)
