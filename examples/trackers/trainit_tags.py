"""What trainit knows of this run, as tags for an experiment tracker. Needs nothing but Python, and gives nothing where trainit is not.

    mlflow.set_tags(trainit_tags.tags())
    wandb.init(config=trainit_tags.tags())
    writer.add_hparams(trainit_tags.tags(), {})
"""

import json
import os
import shutil
import subprocess
import time

VARIABLES = {
    "TRAINIT_CODE_COMMIT": "commit",
    "TRAINIT_ATTEMPT": "attempt",
    "TRAINIT_RUN_MODE": "mode",
    "TRAINIT_RESUME_PATH": "resumed_from",
    "TRAINIT_RESUME_STEP": "resumed_step",
    "TRAINIT_NODES": "nodes",
    "TRAINIT_RANK": "rank",
    "TRAINIT_SIZE": "size",
}


def tags(prefix="trainit.", program=None):
    """The variables of this start, and where trainit is on PATH the sum of the job and the end of the attempt before."""
    found = {name: os.environ[variable] for variable, name in VARIABLES.items() if os.environ.get(variable)}
    return {prefix + name: value for name, value in {**found, **history(program)}.items()}


def ask(*words):
    asked = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return json.loads(asked.stdout) if asked.returncode == 0 else {}


def status(program):
    """The state, which is written a moment after the start: until then the main process is 0."""
    for _ in range(20):
        told = ask(program, "status", "--json")
        if told.get("main"):
            break
        time.sleep(0.1)
    return told


def history(program=None):
    program = program or shutil.which("trainit")
    if not program or "TRAINIT_RUN_DIR" not in os.environ:
        return {}
    told = status(program)
    if "history" not in told:
        return {}
    found = {"job.attempts": str(told["history"]["attempts"])}
    if told["history"]["goodput"] is not None:
        found["job.goodput"] = f"{told['history']['goodput']:.3f}"
    attempts = ask(program, "history", "--json", told["history_file"]).get("attempts", [])
    ended = [attempt["end"] for attempt in attempts if attempt["end"]]
    if ended:
        found["previous.reason"], found["previous.how"] = ended[-1]["reason"], ended[-1]["how"]
        if "code" in ended[-1]:
            found["previous.code"] = str(ended[-1]["code"])
    return found
