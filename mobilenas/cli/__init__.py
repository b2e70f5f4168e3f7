"""The command line, one command a file. Thin: parse, call, print."""

import os

# Before numpy is loaded: its matrices are small here, and threads that wait for each other by spinning cost a search
# nine times its processor time where anything else runs on the machine. torch has threads of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
