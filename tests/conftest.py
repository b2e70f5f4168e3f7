import os
import signal
import tempfile

import pytest
from hypothesis import settings

# before torch is loaded: networks of 16 and 32 pixels gain nothing from more threads, and lose much to waiting ones
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def usual_signals():
    """What `nohup` and a shell's background jobs ignore is inherited by every process that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def temporary_home(tmp_path_factory):
    """Nothing that a test does reaches the user's own tables, or waits for what else measures this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOBILENAS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))  # the machine's lock is there
        patch.setattr(tempfile, "tempdir", None)
        yield
