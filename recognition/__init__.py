"""What others trained or collected: the recogniser, the judge of speech, the pronouncing dictionary. For live and batch alike."""

import os

# ONNX Runtime tells Microsoft about models and machine, with an id that it keeps in the home folder, unless told not to before it is
# loaded: its own disable_telemetry_events() comes too late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
