"""Speed and accuracy, each as a table and JSON, against a baseline in the same run."""

import batch  # before NumPy: both sides of a comparison then run under the same settings

__all__ = ["batch"]
