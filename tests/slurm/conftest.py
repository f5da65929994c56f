"""A real SLURM: two nodes on this machine, and runs on it as a person starts them."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "recipes" / "smoke"
PATIENCE = 240.0

STEPS = 40
SETTINGS = [
    f"stop=[{{budget: {{steps: {STEPS}}}}}]",
    "eval.every=20",
    "run.save_every=5",
    "data.train.arguments.count=200",
    "data.eval.holdout=16",
]
"""A run of a second or two, which a test holds while the cluster does something to it."""

WITHOUT_DROPOUT = ["model.new.hidden_dropout_prob=0.0", "model.new.attention_probs_dropout_prob=0.0"]

# Timeouts are short, so that a test of them is. A requeued job waits for its old credential to expire.
CONFIGURATION = """\
ClusterName=small
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/slurmd.%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=2,sched_min_interval=0
SlurmdTimeout=10
KillWait=8
MessageTimeout=5
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize=100
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF
"""


def until(condition: Callable[[], Any], what: Callable[[], str] | str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds, and give its value."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience:.0f} s for {what if isinstance(what, str) else what()}")
        time.sleep(0.2)
    return value


@dataclass
class Cluster:
    """Daemons that can be ended and started, and SLURM's commands."""

    folder: Path
    daemons: subprocess.Popen
    environ: dict[str, str]
    launcher: Any

    def tell(self, action: str, name: str) -> None:
        assert self.daemons.stdin is not None
        assert self.daemons.stdout is not None
        self.daemons.stdin.write(f"{action} {name}\n")
        self.daemons.stdin.flush()
        assert self.daemons.stdout.readline() == "done\n", f"{action} {name}"

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def nodes(self) -> set[str]:
        """State of each node, ``n1=idle``."""
        return set(self.ask("sinfo", "--noheader", "--Node", "--partition=low", "--format=%N=%T").split())

    def wait_until_idle(self) -> None:
        until(lambda: self.nodes() == {"n1=idle", "n2=idle"}, lambda: f"idle nodes, not {self.nodes()}")

    def state(self, job: str) -> str:
        return self.ask("squeue", "--noheader", "--states=all", "--array", f"--jobs={job}", "--format=%T")

    def tunesmith(self, *arguments: str, status: int = 0, **environ: str) -> Any:
        """A command, in a process of its own that is forked from a warm one."""
        return self.launcher.command(*arguments, status=status, cwd=ROOT, **{**self.environ, **environ})


@dataclass
class Job:
    """A submitted run."""

    cluster: Cluster
    number: str
    run_dir: Path

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.run_dir / "slurm").glob("*.out")))

    def records(self, kind: str) -> list[dict]:
        path = self.run_dir / "metrics.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [record for line in lines if (record := json.loads(line))["kind"] == kind]

    def losses(self) -> dict[int, str]:
        records = self.records("train")
        assert [record["step"] for record in records] == list(range(1, len(records) + 1))
        return {record["step"]: record["loss_hex"] for record in records}

    def starts(self) -> list[dict]:
        path = self.run_dir / "slurm" / "starts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def state(self) -> str:
        return self.cluster.state(self.number)

    def result(self) -> dict:
        return json.loads((self.run_dir / "result.json").read_text())

    def hold_at(self, step: int) -> None:
        """Hold the training process (SIGSTOP) when it has come to a step: it is under way for sure."""
        until(lambda: any(record["step"] >= step for record in self.records("train")), self._told)
        assert self.ranks(), self._told()
        for pid in self.ranks():
            os.kill(pid, signal.SIGSTOP)

    def release(self) -> None:
        for pid in self.ranks():
            os.kill(pid, signal.SIGCONT)

    def ranks(self) -> list[int]:
        """Processes that train: they have the run's folder in their command and no launcher."""
        return [pid for pid, words in self._processes() if "-m" not in words and "srun" not in words]

    def launchers(self) -> list[int]:
        return [pid for pid, words in self._processes() if "accelerate.commands.launch" in words]

    def _processes(self) -> Iterator[tuple[int, list[str]]]:
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0") if entry.name.isdigit() else []
            except OSError:
                continue
            if f"run.dir={self.run_dir}" in words:
                yield int(entry.name), words

    def waits_for(self, condition: Callable[[], Any]) -> None:
        until(condition, self._told)

    def end(self, *states: str) -> None:
        """Wait until the job is over, in one of these states; default: it succeeded."""
        wanted = states or ("COMPLETED",)
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        state = until(lambda: (now := self.state()) in over and now, self._told)
        assert state in wanted, self._told()

    def _told(self) -> str:
        return f"job {self.number}, now {self.state()}:\n{self.log[-4000:]}"


@pytest.fixture(scope="session")
def cluster(launcher, tmp_path_factory) -> Iterator[Cluster]:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    # Not below pytest's own folder: the name of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    (folder / "log").mkdir()
    (folder / "state").mkdir(mode=0o700)
    (folder / "munge.key").write_bytes(os.urandom(256))
    (folder / "munge.key").chmod(0o600)
    names = {"host": socket.gethostname().partition(".")[0], "user": getpass.getuser(), "folder": folder}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(ports=free_ports(3), **names))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
    environ |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{Path(sys.executable).parent}:{path}"}
    environ |= {"TUNESMITH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    # What DeepSpeed has compiled, and no lock that somebody has left there.
    compiled = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or Path.home() / ".cache" / "torch_extensions")
    if compiled.is_dir():
        shutil.copytree(compiled, folder / "compiled", ignore=shutil.ignore_patterns("lock"))
    environ["TORCH_EXTENSIONS_DIR"] = str(folder / "compiled")
    daemons = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("daemons.py")), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    running = Cluster(folder, daemons, environ, launcher)
    try:
        for name in ("munged", "slurmctld", "n1", "n2"):
            running.tell("start", name)
            if name == "munged":
                until((folder / "munge.socket").exists, (folder / "log/munged").read_text, 20)
        until(lambda: running.nodes() == {"n1=idle", "n2=idle"}, lambda: logs(folder), 30)
        yield running
    finally:
        assert daemons.stdin is not None
        daemons.stdin.close()
        daemons.wait(30)  # it removes the folder, too


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def logs(folder: Path) -> str:
    return "\n".join(f"== {path.name}\n{path.read_text()[-1500:]}" for path in (folder / "log").iterdir())


@pytest.fixture(scope="session")
def control(cluster, tmp_path_factory) -> dict[int, str]:
    """The losses of a run that nothing interrupts, without SLURM."""
    return uninterrupted(cluster, tmp_path_factory.mktemp("control"))


def uninterrupted(cluster: Cluster, folder: Path, *settings: str) -> dict[int, str]:
    recipe = str(SMOKE / "sequence-classification.yaml")
    cluster.tunesmith("run", recipe, f"run.dir={folder}/run", "run.threads=1", *SETTINGS, *settings)
    losses = Job(cluster, "0", folder / "run").losses()
    assert len(losses) == STEPS
    return losses


@pytest.fixture(scope="session")
def control_without_dropout(cluster, tmp_path_factory) -> dict[int, str]:
    """As ``control``; each process has its own dropout, so several can only be compared without any."""
    return uninterrupted(cluster, tmp_path_factory.mktemp("control"), *WITHOUT_DROPOUT)


@pytest.fixture(scope="session")
def without_dropout() -> list[str]:
    return WITHOUT_DROPOUT


@pytest.fixture
def submit(cluster, tmp_path) -> Callable[..., Job]:
    """Submits a smoke recipe to a folder of the test's own."""

    def act(*arguments: str, on: str = "cpu", name: str = "run", **environ: str) -> Job:
        """``name`` is the run's folder; the job's number is read from what the command says."""
        run_dir = tmp_path / name
        recipe = str(SMOKE / "sequence-classification.yaml")
        common = ["--no-preflight", f"run.dir={run_dir}", "run.threads=1", *SETTINGS]
        done = cluster.tunesmith("submit", recipe, "--on", on, *arguments, *common, **environ)
        number = done.out.split()[1].rstrip(":")
        assert number.isdigit(), done.out
        return Job(cluster, number, run_dir)

    return act
