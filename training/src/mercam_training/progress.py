"""A progress bar on standard error: one line that is rewritten on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time


class Bar:
    """Call it with (done, total)."""

    def __init__(self, what: str):
        self.what, self.begun, self.shown, self.at_start = what, time.monotonic(), -1.0, None
        self.live = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self.at_start = done if self.at_start is None else self.at_start
        if done < total and now - self.shown < (0.2 if self.live else 30):
            return
        self.shown = now
        fresh, passed = done - self.at_start, now - self.begun
        left = f", {passed / fresh * (total - done):.0f} s left" if fresh and done < total else ""
        full = int(24 * done / max(total, 1))
        line = f"{self.what} [{'#' * full}{'.' * (24 - full)}] {done} of {total}, {passed:.0f} s{left}"
        end = "\n" if done >= total or not self.live else ""
        print(f"\r{line}\x1b[K" if self.live else line, end=end, file=sys.stderr, flush=True)
