"""Twenty hosts on loopback, as a bad night has them: most answer, some slowly, each of the others fails in its way."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration.agent import Agent
from tests.integration.wrappers import DUMPS
from tests.lab.keys import public_text, ssh_keypair
from tests.lab.processes import free_port
from tests.lab.production import ProductionHost
from tests.lab.sshd import Sshd

# how many hosts there are of each kind: twenty together
NIGHT = {"fine": 8, "slow": 3, "dead": 3, "mute": 2, "deaf": 1, "rebuilt": 1, "unpinned": 1, "denied": 1}
# what a slow host's dump waits before its first byte
SLOW_S = 3
_SLOW_DUMP = """#!/bin/bash
[[ "$*" == *--databases* ]] && sleep {seconds}
exec {real} "$@"
"""
_HOST = """
[hosts.{name}]
address = "{address}"
port = {port}
user = "{user}"
"""
_SOURCES = (
    """
[hosts.{name}.sources.agama]
kind = "mysql"
databases = ["agama"]
socket = "{socket}"
""",
    """
[hosts.{name}.sources.orders]
kind = "mysql"
databases = ["agama"]
accounts = false
socket = "{socket}"
""",
)


@contextmanager
def twenty(agent: Agent, directory: Path, connect_s: float, sources: int = 1) -> Iterator[list[str]]:
    """Have hosts.toml name the twenty, each with one or two sources of the one database; their names, in its order."""
    # so that no kind stands together, as in an operator's file
    names = [f"{kind}-{n}" for n in range(1, max(NIGHT.values()) + 1) for kind, count in NIGHT.items() if n <= count]
    addresses = {name: f"127.0.1.{number}" for number, name in enumerate(names, 1)}
    with ExitStack() as stack:
        ports, pins = dict[str, int](), list[str]()
        for kind in NIGHT:
            of_kind = [address for name, address in addresses.items() if _kind(name) == kind]
            ports[kind], key = stack.enter_context(_opened(agent.host, directory, kind, of_kind))
            pins += [f"[{address}]:{ports[kind]} {key}\n" for address in of_kind if key]
        agent.known_hosts.write_text("".join(pins))
        text = agent.config_file.read_text().partition("[hosts.")[0]
        text = text.replace("[ssh]\n", f"[ssh]\nconnect_timeout_s = {connect_s}\n")
        for name, address in addresses.items():
            text += _HOST.format(name=name, address=address, port=ports[_kind(name)], user=agent.host.sshd.user)
            text += "".join(s.format(name=name, socket=agent.host.server.socket) for s in _SOURCES[:sources])
        agent.configure(text)
        yield names


def _kind(name: str) -> str:
    return name.partition("-")[0]


@contextmanager
def _opened(host: ProductionHost, directory: Path, kind: str, addresses: list[str]) -> Iterator[tuple[int, str]]:
    """The port on which hosts of this kind answer as they do, and the key to pin for them, if one is."""
    if kind == "dead":
        yield free_port(), ""
    elif kind in ("mute", "deaf"):
        with _silent(addresses, deaf=kind == "deaf") as port:
            yield port, ""
    else:
        with _sshd(host, directory / kind, addresses) as server:
            if kind == "slow":
                for name in DUMPS:
                    server.put_first(name, _SLOW_DUMP.format(seconds=SLOW_S, real=server.farm.real(name)))
            stranger = public_text(ssh_keypair(directory / f"not-{kind}"))
            if kind == "denied":
                server.authorized_keys.write_text(f"{stranger}\n")
            yield server.port, {"rebuilt": stranger, "unpinned": ""}.get(kind, server.host_public_key)


@contextmanager
def _sshd(host: ProductionHost, directory: Path, addresses: list[str]) -> Iterator[Sshd]:
    listen = "".join(f"ListenAddress {address}\n" for address in addresses)
    server = Sshd(directory, host.identity.with_name("id_ed25519.pub"), settings=listen)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _silent(addresses: list[str], *, deaf: bool) -> Iterator[int]:
    """A port that takes connections and never greets; a deaf one's queue is full, so that it takes none either."""
    port = free_port()
    with ExitStack() as stack:
        for address in addresses:
            server = stack.enter_context(socket.create_server((address, port), backlog=0 if deaf else 100))
            for _ in range(4 if deaf else 0):
                knocking = stack.enter_context(socket.socket())
                knocking.setblocking(False)
                knocking.connect_ex(server.getsockname())
        yield port
