"""What an allocation becomes, without a cluster: which profile, how many processes, which command."""

import pytest

from tunesmith.errors import UserError
from tunesmith.launch.slurm.allocation import launch_words, profile_for, read_allocation

JOB = {"SLURM_JOB_ID": "41237", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "n1"}


@pytest.mark.parametrize(
    ("nodes", "gpus", "named", "profile", "processes"),
    [
        (1, 0, None, "cpu", 1),
        (2, 0, None, "cpu_2proc", 2),
        (1, 1, None, "gpu", 1),
        (1, 8, None, "node", 8),
        (4, 8, None, "node", 32),
        (2, 0, "cpu_2proc", "cpu_2proc", 4),
        (4, 8, "nodes_zero3", "nodes_zero3", 32),
        (1, 4, "node_zero2", "node_zero2", 4),
    ],
)
def test_the_allocation_says_how_many(nodes, gpus, named, profile, processes) -> None:
    asked = {"SLURM_JOB_NUM_NODES": str(nodes), **({"SLURM_GPUS_ON_NODE": str(gpus)} if gpus else {})}
    found = profile_for(read_allocation(JOB | asked), named)
    assert (found.name, found.processes, found.machines) == (profile, processes, nodes)


def test_one_process_is_not_several() -> None:
    with pytest.raises(UserError, match="is for one process"):
        profile_for(read_allocation(JOB | {"SLURM_JOB_NUM_NODES": "2"}), "cpu")


def test_a_task_of_an_array_goes_by_the_number_of_the_array() -> None:
    """The task's own number may be the whole array's, and all of it would be requeued."""
    array = {"SLURM_ARRAY_JOB_ID": "41237", "SLURM_ARRAY_TASK_ID": "3", "SLURM_RESTART_COUNT": "2"}
    found = read_allocation(JOB | array)
    assert (found.job, found.task, found.restarts) == ("41237_3", 3, 2)
    assert read_allocation(JOB).job == "41237"


def test_jobs_that_share_a_node_meet_at_other_ports() -> None:
    ports = {read_allocation(JOB | {"SLURM_JOB_ID": str(number)}).port for number in range(100, 200)}
    assert len(ports) == 100
    assert all(1024 < port < 65536 for port in ports)
    assert read_allocation(JOB | {"MASTER_PORT": "5000"}).port == 5000


def test_outside_of_a_job() -> None:
    with pytest.raises(UserError, match="not inside a SLURM job"):
        read_allocation({})


def test_the_command_of_one_node_and_of_several(tmp_path) -> None:
    one = read_allocation(JOB)
    words = launch_words(tmp_path / "a b.yaml", ["stop=[{budget: {steps: 3}}]"], profile_for(one, None), one)
    assert words[0] == "srun"
    assert "--kill-on-bad-exit=0" in words
    assert str(tmp_path / "a b.yaml") in words
    assert "--machine" not in " ".join(words)
    two = read_allocation(JOB | {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node7"})
    words = launch_words(tmp_path / "a b.yaml", ["stop=[{budget: {steps: 3}}]"], profile_for(two, None), two)
    assert 'exec "$@" --machine "$SLURM_NODEID/2@node7:21237"' in words
    assert "stop=[{budget: {steps: 3}}]" in words
