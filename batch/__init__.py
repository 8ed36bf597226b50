"""The finished recording: decode, transcribe, measure, write."""
