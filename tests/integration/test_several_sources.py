"""A run over several sources: one that fails leaves the others running."""

from tests.integration.agent import AGAMA, HOST, Agent
from tests.lab.processes import free_port


def test_one_failing_source_leaves_the_other(agent: Agent) -> None:
    """When one of two sources fails, the other is stored and the run ends with 3."""
    agent.host.sshd.hide("influx")
    refs = agent.refs()
    done = agent.call("run", "--json")
    assert done.code == 3
    sources = {s["source"]: s for s in done.json["sources"]}
    assert (sources["agama"]["outcome"], sources["logs"]["outcome"]) == ("stored", "failed")
    assert (sources["agama"]["exit_code"], sources["logs"]["exit_code"]) == (0, 1)
    assert sources["logs"]["ref"] is None
    assert "influx" in sources["logs"]["error"]
    assert sources["logs"]["hint"]
    assert set(agent.refs()) - set(refs) == {sources["agama"]["ref"]}


def test_one_failing_host_leaves_the_other(agent: Agent) -> None:
    """A host that does not answer fails alone, and is told; the other host's sources are stored."""
    dead = agent.config_file.read_text().split(f"[hosts.{HOST}]", 1)[1]
    port = f"port = {agent.host.sshd.port}"
    other = f"[hosts.{HOST}]{dead}".replace(HOST, "pavroto-1").replace(port, f"port = {free_port()}")
    agent.configure(agent.config_file.read_text() + "\n" + other)
    refs = agent.refs()
    done = agent.call("run").failed(3, "refused the connection", "is sshd running there?")
    assert "error: pavroto-1/agama" in done.err
    assert {ref.partition("@")[0] for ref in set(agent.refs()) - set(refs)} == {AGAMA, f"{HOST}/logs"}


def test_everything_failing_for_one_cause(agent: Agent) -> None:
    """When every source fails for the same cause the run ends with that cause's code."""
    agent.known_hosts.write_text("")
    agent.fails("all", code=13, error="not pinned", hint="trust", call=lambda: agent.call("run"))


def test_everything_failing_for_different_causes(agent: Agent) -> None:
    """When every source fails, each for another cause, the run ends with 1."""
    agent.host.sshd.hide("influx")
    other = agent.config_file.read_text().split(f"[hosts.{HOST}]", 1)[1].split(f"[hosts.{HOST}.sources.logs]")[0]
    agent.configure(
        agent.config_file.read_text().split(f"[hosts.{HOST}.sources.agama]")[0]
        + f"[hosts.{HOST}.sources.logs]"
        + agent.config_file.read_text().split(f"[hosts.{HOST}.sources.logs]")[1]
        + f"\n[hosts.unpinned]{other}".replace(HOST, "unpinned").replace('"127.0.0.1"', '"localhost"')
    )
    done = agent.fails("all", code=1, error="not pinned", hint="trust unpinned", call=lambda: agent.call("run"))
    assert "no influx" in done.err


def test_one_after_another(agent: Agent) -> None:
    """With --jobs 1 the sources are pulled one after another, all of them."""
    report = agent.call("run", "--jobs", "1", "--json").succeeded().json
    assert [s["outcome"] for s in report["sources"]] == ["stored", "stored"]


def test_only_what_is_named(agent: Agent) -> None:
    """`run HOST/SOURCE` pulls that source alone; an unknown one is refused with the nearest name."""
    refs = agent.refs()
    agent.call("run", AGAMA).succeeded()
    assert {ref.partition("@")[0] for ref in set(agent.refs()) - set(refs)} == {AGAMA}
    agent.call("run", f"{HOST}/agma").failed(2, "agma", AGAMA)


def test_two_runs_in_one_second(agent: Agent) -> None:
    """Two runs that start within one second make two snapshots with different names."""
    refs = agent.refs()
    for _ in range(2):
        agent.call("run", AGAMA).succeeded()
    assert len(agent.refs()) == len(refs) + 2
