"""Tests of the example itself, with nothing but the standard library: python -m unittest (needs requirements.txt)."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

import checkpoints

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, os.pardir, "data")


class Training(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.out = directory.name

    def command(self, out, *more):
        words = [sys.executable, os.path.join(HERE, "train.py"), "--data", DATA, "--checkpoints", out]
        return [*words, "--epochs", "6", *more]

    def run_to_the_end(self, out):
        return subprocess.run(self.command(out), check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    def stop_in_the_second_epoch(self, out):
        with subprocess.Popen(self.command(out, "--pace", "1"), stdout=subprocess.PIPE, text=True) as job:
            for line in job.stdout:
                if line.startswith("epoch   1/"):
                    job.send_signal(signal.SIGTERM)
        self.assertEqual(job.returncode, 0)

    def test_it_learns(self):
        last = self.run_to_the_end(self.out).splitlines()[-1]
        self.assertGreater(float(last.split()[-1].rstrip("%")), 95)
        self.assertTrue(os.path.exists(os.path.join(self.out, "DONE")))

    def test_a_stopped_run_that_goes_on_ends_with_the_very_same_weights(self):
        straight, stopped = (os.path.join(self.out, name) for name in ("straight", "stopped"))
        os.mkdir(straight)
        os.mkdir(stopped)
        self.run_to_the_end(straight)
        self.stop_in_the_second_epoch(stopped)
        self.assertIn("resuming from", self.run_to_the_end(stopped))
        self.assertEqual(self.last_checkpoint(straight), self.last_checkpoint(stopped))

    def last_checkpoint(self, out):
        tensors, state = checkpoints.read(checkpoints.complete(out)[-1])
        return state["step"], {name: tensor.tobytes() for name, tensor in tensors.items()}

    def test_a_finished_run_is_not_done_again(self):
        self.run_to_the_end(self.out)
        self.assertIn("nothing to do", self.run_to_the_end(self.out))

    def test_half_written_checkpoints_are_not_seen(self):
        for name in ("step-00000009.safetensors.partial", "step-00000001.safetensors", "notes.txt"):
            open(os.path.join(self.out, name), "w").close()
        found = [os.path.basename(path) for path in checkpoints.complete(self.out)]
        self.assertEqual(found, ["step-00000001.safetensors"])

    def test_only_the_last_few_checkpoints_stay(self):
        for step in range(1, 6):
            checkpoints.write(self.out, step, {}, {"step": str(step)})
        self.assertEqual(len(os.listdir(self.out)), checkpoints.KEEP)


if __name__ == "__main__":
    unittest.main()
