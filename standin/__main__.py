"""`python -m standin`: the stand-in as a process of its own, until it is interrupted."""

import argparse
import signal
import sys
import threading
from types import FrameType

from standin.faults import FAULTS
from standin.server import Server
from standin.service import StandIn

_UNUSABLE = 2  # exit status when the arguments or the port cannot be used


def main() -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The exit status: 0 when stopped, 2 when the server could not start.
    """
    arguments = _parser().parse_args()
    try:
        standin = StandIn(
            latency_seconds=arguments.latency_seconds,
            requests_per_minute=arguments.requests_per_minute,
            tokens_per_minute=arguments.tokens_per_minute,
            faults=arguments.faults,
            judge=arguments.judge,
            batch_seconds=arguments.batch_seconds,
            token_requests=arguments.token_requests,
            record_file=arguments.record_file,
        )
        server = Server(standin, arguments.port)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return _UNUSABLE
    except OSError as error:
        print(  # noqa: T201
            f"error: cannot listen on port {arguments.port} of 127.0.0.1 or write the record "
            f"file ({error.strerror}). Stop what uses it, or pass --port 0 for a free port.",
            file=sys.stderr,
        )
        return _UNUSABLE

    def stop(signum: int, frame: FrameType | None) -> None:
        # From another thread: `shutdown` waits for the loop that this handler interrupts.
        threading.Thread(target=server.stop).start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    print(f"The stand-in listens on {server.url}", flush=True)  # noqa: T201
    server.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m standin", description=__doc__)
    parser.add_argument("--port", type=int, default=8077, help="0 picks a free one")
    parser.add_argument("--latency-seconds", type=float, default=0.0)
    parser.add_argument("--requests-per-minute", type=int)
    parser.add_argument("--tokens-per-minute", type=int)
    parser.add_argument(
        "--faults",
        type=_rates,
        default={},
        metavar="NAME=RATE,...",
        help=f"share of the requests that fail in a way: {', '.join(FAULTS)}",
    )
    parser.add_argument("--judge", choices=["normal", "literal"], default="normal")
    parser.add_argument("--batch-seconds", type=float, default=0.0, help="a batch job takes")
    parser.add_argument("--token-requests", type=int, help="a bearer token serves, then expires")
    parser.add_argument("--record-file", help="JSON lines of all request bodies")
    return parser


def _rates(text: str) -> dict[str, float]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name.strip(): float(rate) for name, _, rate in pairs}


if __name__ == "__main__":
    sys.exit(main())
