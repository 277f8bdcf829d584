"""A launcher that has no handler for SIGTERM and starts each rank in a session of its own, as DeepSpeed's runner does on one node:
a stop kills it at once and leaves the ranks without a parent.

    runner.py RANKS PROGRAM ARGUMENT…    each rank gets its number as the last argument
"""

import subprocess
import sys

count, words = int(sys.argv[1]), sys.argv[2:]
ranks = [subprocess.Popen([sys.executable, *words, str(rank)], start_new_session=True) for rank in range(count)]
sys.exit(max(rank.wait() for rank in ranks))
