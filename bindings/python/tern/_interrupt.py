# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a running call of the library."""
import ctypes
import os
import signal
import threading

from . import _raw as raw
from ._library import check, lib


class _Watch:
    """A thread that waits for Ctrl-C while the main one is inside a call: Python itself tells of it only after the call."""

    def __init__(self):
        self.cancel = ctypes.c_void_p()
        check(lib.tern_cancel_create(self.cancel))
        self._read, self.write = os.pipe()
        os.set_blocking(self.write, False)
        self.lock, self.running, self.other = threading.Lock(), False, -1
        threading.Thread(target=self._wait, name="tern-interrupt", daemon=True).start()

    def _wait(self):
        while True:
            signals = os.read(self._read, 64)
            with self.lock:
                if self.running and signal.SIGINT in signals:
                    lib.tern_cancel_signal(self.cancel)
                if self.other >= 0:  # who else wants to be woken, as asyncio
                    try:
                        os.write(self.other, signals)
                    except OSError:
                        pass


_watch = None


def _forget():
    global _watch
    _watch = None  # a process that was forked has no such thread


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class RunOptions:
    """`with RunOptions(timeout) as options`: for calls that end after so many seconds, or with Ctrl-C in the main thread where that
    raises KeyboardInterrupt. options may be None."""

    __slots__ = ("_options", "_old")

    def __init__(self, timeout=None):
        self._options = None if timeout is None else raw.tern_run_options(timeout_ns=max(1, int(timeout * 1e9)))
        self._old = None

    def __enter__(self):
        global _watch
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            if _watch is None:
                _watch = _Watch()
            if self._options is None:
                self._options = raw.tern_run_options()
            self._options.cancel = _watch.cancel
            with _watch.lock:
                self._old = _watch.other = signal.set_wakeup_fd(_watch.write, warn_on_full_buffer=False)
                _watch.running = True
        return self._options

    def __exit__(self, *_):
        if self._old is not None:
            with _watch.lock:
                _watch.running, _watch.other = False, -1
                signal.set_wakeup_fd(self._old)
                lib.tern_cancel_reset(_watch.cancel)
