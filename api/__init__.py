"""The server: REST, live sound, events and pages."""

import os

# As in batch/__init__.py, which this package may not import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
