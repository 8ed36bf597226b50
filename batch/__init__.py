"""The finished recording: decode, transcribe, measure, write."""

import os

# NumPy's linear algebra starts a thread a core, and each spins for a while after every call: measured, that takes 100 ms of a core from
# the recogniser per window. What we ask of it is small. To be said before NumPy is loaded; whoever sets it keeps what they set.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
