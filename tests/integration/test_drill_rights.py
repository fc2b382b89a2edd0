"""What a throwaway server may do, and with whose rights: asked from within, as a dump could."""

import pwd
from pathlib import Path

import pytest

from pullagent.drill.throwaway import ACCOUNTS
from tests.integration.agent import AGAMA, Agent, is_root
from tests.integration.drills import Drills, _place  # noqa: F401 - a fixture
from tests.lab.processes import run
from tests.lab.production import ProductionHost

# once, in place of the first load: everything that a dump or a program that it took over could try
_PROBE = """
if [[ "$*" == *--binary-mode* ]] && mkdir {notes}/once 2>/dev/null; then
  id -un >{notes}/account
  cat /proc/self/environ | tr '\\0' '\\n' >{notes}/environment
  for each in {secrets}; do cat "$each" || ls "$each/"; done >{notes}/read 2>/dev/null
  cat /proc/$PPID/environ /proc/$PPID/fd/* >>{notes}/read 2>/dev/null </dev/null
  sql() {{ {real} --batch --skip-column-names -e "$1"; }}
  sql 'SELECT @@secure_file_priv, @@plugin_dir, @@local_infile, @@skip_networking' >{notes}/settings
  sql "SELECT 1 INTO OUTFILE '{notes}/file'" && echo outfile >>{notes}/did
  sql "SELECT 1 INTO OUTFILE '$(cut -f 1 {notes}/settings)file'" && echo own outfile >>{notes}/did
  sql "SELECT LENGTH(LOAD_FILE('/etc/passwd')) > 0" | grep 1 && echo load_file >>{notes}/did
  sql "INSTALL SONAME 'ha_federatedx'" && echo install >>{notes}/did
  sql "CREATE FUNCTION f RETURNS INTEGER SONAME 'auth_ed25519.so'" && echo function >>{notes}/did
fi
exec {real} "$@"
"""


@pytest.fixture
def noted(host: ProductionHost, place: Path) -> tuple[Drills, Path]:
    """Drills of a backup server whose directories every account may pass through, and where the probe's notes go."""
    agent = Agent(place / "backup", host)
    agent.call("run", AGAMA).succeeded()
    drills, notes = Drills(agent, place / "servers"), place / "notes"
    drills.place.mkdir(mode=0o711)
    drills.bin = place / "bin"
    notes.mkdir()
    notes.chmod(0o777)
    secrets = " ".join(map(str, [agent.store, agent.store / "ledger.jsonl", agent.identity, agent.host.identity]))
    probe = _PROBE.replace("{{", "{").replace("}}", "}").replace("{notes}", str(notes)).replace("{secrets}", secrets)
    drills.put_first("mariadb", probe)
    return drills, notes


def test_the_server_reads_neither_store_nor_identity(noted: tuple[Drills, Path]) -> None:
    """As root, servers and clients run as another account, which reads no store, key or memory; else that is told."""
    drills, notes = noted
    evidence = drills.call(f"{AGAMA}@latest", "--json").succeeded().json["evidence"]
    account = (notes / "account").read_text().strip()
    assert evidence["account"] == account
    told = [text for text in evidence["warnings"] if "who may read the store" in text]
    if not is_root():
        assert told
        return
    assert not told
    assert account in ("pullagent-drill", "nobody")
    assert pwd.getpwnam(account).pw_uid != 0
    assert (notes / "read").read_text() == ""
    assert str(drills.agent.home) not in (notes / "environment").read_text()


@pytest.mark.skipif(not is_root(), reason="only root has another account run the server")
def test_a_store_of_the_servers_own_account(noted: tuple[Drills, Path]) -> None:
    """Where the store belongs to the very account that servers run as, the evidence says that it could be read."""
    drills, _ = noted
    account = next(name for name in ACCOUNTS if name in {entry.pw_name for entry in pwd.getpwall()})
    run(["chown", "-R", account, drills.agent.store])
    evidence = drills.call(f"{AGAMA}@latest", "--json").succeeded().json["evidence"]
    assert any("who may read the store" in text for text in evidence["warnings"])


def test_the_server_reaches_no_files_libraries_or_network(noted: tuple[Drills, Path]) -> None:
    """With all rights within it, SQL writes and reads no file, loads no library, and the server listens nowhere."""
    drills, notes = noted
    drills.call(f"{AGAMA}@latest").succeeded()
    files, plugins, infile, without_network = (notes / "settings").read_text().split()
    assert files.startswith(f"{drills.place}/pullagent-drill.")
    assert plugins.startswith(f"{drills.place}/pullagent-drill.")
    assert (infile, without_network) == ("0", "1")
    assert not (notes / "did").exists()
    assert not (notes / "file").exists()
