"""Settings, read once and frozen, and where the models are."""
