"""What runs outside the process, by role: blobs, the bus, the live log; and private servers where none is configured."""
