"""A taken port is no reason to stop."""

from pathlib import Path

from cli.dev_ports import Ports, choose_ports
from cli.embedded_postgres import free_port, listening_socket


def test_a_taken_port_is_replaced_and_told(tmp_path: Path) -> None:
    with listening_socket(Ports().temporal), listening_socket() as door:
        said: list[str] = []
        ports = choose_ports(tmp_path, door, said.append)
    assert ports.temporal != Ports().temporal
    assert f"port 7233 is taken: temporal listens on {ports.temporal}" in said


def test_a_port_that_is_held_is_given_to_nobody_else() -> None:
    with listening_socket() as held:
        taken = held.getsockname()[1]
        assert free_port(taken) != taken


def test_no_port_is_given_twice(tmp_path: Path) -> None:
    with listening_socket() as door:
        ports = vars(choose_ports(tmp_path, door, print)).values()
    assert len(set(ports)) == len(ports)
