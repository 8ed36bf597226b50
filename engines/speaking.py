"""A synthesised voice, where this machine has one: espeak-ng, as a program of its own."""

import asyncio
import shutil
from functools import cache

from engines.errors import EngineError

# Different talkers: what is learnt from one is not heard in another.
VOICES = ("en-us", "en-gb+f2", "en-us+m3", "en-gb-scotland", "en-us+f4", "en-gb+m7")
WORDS_A_MINUTE = 140
LIMIT_S = 10.0


class SpeakingFailed(EngineError):
    """The voice did not speak."""


@cache
def program() -> str | None:
    """Where espeak-ng is, None where there is none."""
    return shutil.which("espeak-ng")


async def speak(text: str, voice: str = VOICES[0]) -> bytes:
    """A WAV file of the text in one of VOICES. Raises SpeakingFailed."""
    path = program()
    if path is None or voice not in VOICES:
        raise SpeakingFailed("espeak-ng is not installed" if path is None else f"there is no voice {voice}")
    # The text comes by standard input: whatever it holds, it is no switch.
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        path, "--stdout", "--stdin", "-v", voice, "-s", str(WORDS_A_MINUTE), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            sound, said = await process.communicate(text.encode())
    except TimeoutError as error:
        raise SpeakingFailed(f"espeak-ng has not spoken within {LIMIT_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or len(sound) <= 44:
        raise SpeakingFailed(f"espeak-ng failed: {said.decode(errors='replace').strip()[:200]}")
    return sound
