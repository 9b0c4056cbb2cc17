"""Threads for what takes long: each kind of work has its own, so that none waits for another.

Those of the event loop look up host names, too: work that held all of them would stop requests.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


class Threads:
    """A few threads for one kind of work.

    Args:
        name: Of the work.
        count: How many of it are done at a time; further ones wait.
    """

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, name)

    async def run(self, do: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T:
        """Run a function in one of them."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, do, *arguments)


COUNTING = Threads("counting", 16)  # of tokens, which a server may have to be asked for
SEARCHING = Threads("searching", 4)  # for personal data
