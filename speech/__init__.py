"""The pure core: samples, words, pitch, pauses. It never waits, never reads a clock, a file, an environment variable or a socket."""
