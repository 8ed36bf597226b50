"""`python -m api`, which `elocute serve` becomes: the server with all it needs."""

import argparse
import sys
import time
from collections.abc import Sequence

from api.listening import listen
from config.errors import Unusable
from config.settings import read_settings
from speech.errors import EXIT_CODES, Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code (docs: `elocute serve --help`)."""
    began = time.perf_counter()
    codes = "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())
    parser = argparse.ArgumentParser(
        prog="elocute serve",
        description="Start the server, the engines that are not configured, and a worker.",
        epilog=codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--no-worker", action="store_true", help="serve only: workers are started elsewhere (`elocute worker`)")
    asked = parser.parse_args(arguments)
    try:
        settings = read_settings()
        listening = listen(settings)
        from api.server import run  # only now: it loads the drivers of four engines, and what is wrong so far is said at once

        return run(settings, listening, worker=not asked.no_worker, imports_s=time.perf_counter() - began)
    except (Problem, Unusable) as error:
        problem = error if isinstance(error, Problem) else Problem(error.code, **error.facts)
        print(f"elocute: {problem}", file=sys.stderr)
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
