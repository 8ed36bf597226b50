"""Sound in: WebRTC, WHIP and PCM over a WebSocket become one sequence of audio blocks. Knows nothing about speech."""
