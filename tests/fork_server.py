"""Starts runs as real processes without importing torch for each: it imports once, and forks.

Reads one JSON object a line: ``argv`` (a recipe or a script first, or ``-m`` and a module), ``env``, ``cwd``
and ``folder``. Each gets a process of its own, in a process group of its own. Its output is in
``folder/out`` and ``folder/err``, its number in ``folder/pid``, and, when it has ended, its status in
``folder/status`` (negative: a signal).
"""

import gc
import json
import os
import resource
import runpy
import signal
import sys
from pathlib import Path


def preload() -> None:
    """Everything that a run of any task imports or compiles; nothing that starts threads or computes.

    What is there now is never collected again: a run's collector would go through all of it, and so copy
    every page that the fork shares.
    """
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import accelerate  # noqa: F401
    import pandas  # noqa: F401
    import peft  # noqa: F401
    import sacrebleu  # noqa: F401
    import sklearn.metrics  # noqa: F401
    from transformers import (  # noqa: F401
        AutoModelForCausalLM,
        BertForSequenceClassification,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        ResNetForImageClassification,
    )
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    import tunesmith.metrics.statistics
    import tunesmith.train.record.variants
    import tunesmith.train.run  # noqa: F401
    from tunesmith.report.page import environment
    from tunesmith.train.engine.zero import import_deepspeed

    import_deepspeed()
    get_checkpoint_conversion_mapping("llama")  # hundreds of regular expressions, of all architectures
    environment().get_template("page.html.j2")
    gc.collect()
    gc.freeze()


def run(order: dict) -> int:
    folder = Path(order["folder"])
    os.setsid()
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    if limit := int(order["env"].get("FILE_LIMIT", 0)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = order["argv"]
    import tunesmith

    try:
        if sys.argv[0].endswith(".py"):
            runpy.run_path(sys.argv[0], run_name="script")
            return 0
        if sys.argv[0] == "-m":
            runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
            return 0
        tunesmith.main(sys.argv[0])
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def watch(order: dict) -> None:
    """Fork the run, and write down how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder = Path(order["folder"])
    child = os.fork()
    if child == 0:
        os._exit(run(order))
    (folder / "pid.new").write_text(str(child))
    (folder / "pid.new").rename(folder / "pid")
    _, status = os.waitpid(child, 0)
    (folder / "status.new").write_text(str(os.waitstatus_to_exitcode(status)))
    (folder / "status.new").rename(folder / "status")


def main() -> None:
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers are nobody's zombies
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            watch(order)
            os._exit(0)


if __name__ == "__main__":
    main()
