"""`python -m stream_pipeline replay FILE`, which `elocute replay` becomes: a recording through the live path, its events printed."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av

from config import models
from config.errors import Unusable
from config.settings import read_settings
from speech.audio import RATE_HZ, AudioBlock
from speech.errors import EXIT_CODES, EXIT_INTERRUPTED, EXIT_OK, Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay one file; the exit code (docs: `elocute replay --help`)."""
    asked = _parser().parse_args(arguments)
    try:
        return _replay(asked.file, asked.speed, asked.schedule, asked.language)
    except (Problem, Unusable) as error:
        problem = error if isinstance(error, Problem) else Problem(error.code, **error.facts)
        print(f"elocute: {problem}", file=sys.stderr)
        return problem.exit_code
    except BrokenPipeError:  # `| head` has enough
        sys.stderr.close()
        return EXIT_OK
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    codes = "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())
    parser = argparse.ArgumentParser(prog="elocute", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    replay = commands.add_parser(
        "replay",
        help="feed a recording through the live path",
        description="Feed a recording through the live path and print its events, one JSON object a line, the same every time.",
        epilog=codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    replay.add_argument("file", type=Path, metavar="FILE", help="any audio or video file")
    replay.add_argument("--speed", type=_speed, metavar="N", help="at N times real time; as fast as possible by default")
    replay.add_argument("--schedule", type=Path, metavar="FILE", help="JSON lines that a live session logged: gives that session's events")
    replay.add_argument("--language", metavar="CODE", help="ISO 639-1; detected by default")
    return parser


def _speed(text: str) -> float:
    speed = float(text)
    if not 0.0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"a speed is above 0, not {text}")
    return speed


def _replay(file: Path, speed: float | None, schedule: Path | None, language: str | None) -> int:
    settings = read_settings()
    logged = _logged(schedule) if schedule is not None else None
    pcm, lost = _sound(file)
    model = models.asr_model(settings)
    from recognition.whisper import Recogniser  # only now: what is wrong so far is said at once
    from stream_pipeline.core import prepare
    from stream_pipeline.recognise import recognise
    from stream_pipeline.replay import blocks_of, lost_live, replay

    recogniser = Recogniser(model, models.placement(settings), 1)
    prepare()
    blocks = blocks_of(pcm, lost_live(lost, logged or ()))
    if speed is not None:
        blocks = _paced(blocks, speed, time.monotonic, time.sleep)
    said = replay(blocks, lambda ask: recognise(recogniser, [ask])[0], logged, language=language)
    for number, event in enumerate(said, 1):
        line = {"v": 1, "seq": number, "session": "replay", "stream": event.stream, "t_ms": event.t_ms, "data": event.data}
        print(json.dumps(line, separators=(",", ":"), ensure_ascii=False), flush=speed is not None)
    return EXIT_OK


def _sound(file: Path) -> Any:
    from stream_pipeline.replay import decoded

    try:
        pcm, lost = decoded(file)
    except FileNotFoundError as error:
        raise Problem("not-found", path=file) from error
    except PermissionError as error:
        raise Problem("not-allowed", path=file) from error
    except (av.FFmpegError, IndexError) as error:  # no decoder, or no sound in it
        raise Problem("not-audio", path=file) from error
    if pcm.size == 0:
        raise Problem("not-decodable", path=file)
    return pcm, lost


def _logged(schedule: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in schedule.read_text(encoding="utf-8").splitlines() if line]
    except OSError as error:
        raise Problem("cannot-read", path=schedule, reason=error.strerror) from error
    except ValueError as error:
        raise Problem("bad-schedule", path=schedule) from error


def _paced(blocks: Iterable[AudioBlock], speed: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> Iterator[AudioBlock]:
    # Each block no sooner than its last sample would be there.
    began = clock()
    for block in blocks:
        due = began + (block.start + block.pcm.size) / RATE_HZ / speed
        sleep(max(0.0, due - clock()))
        yield block


if __name__ == "__main__":
    sys.exit(main())
