"""Tasks in other languages: a command for a shell or an interpreter. Knows processes; knows no cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shlex
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, Unpack

from prefectlite.core.attributes import defaults_from_attrs
from prefectlite.core.base import Task
from prefectlite.core.options import OptionArgs
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.states.signals import FAIL

__all__ = ["ShellTask"]

#: How many lines of output the message of a failure shows.
SHOWN: Final = 10
#: How many lines of a failed command's output are logged, where that is asked for.
LOGGED: Final = 1000
#: How often, in seconds, a command that is silent lets its body be interrupted.
_PULSE: Final = 0.1
_CHUNK: Final = 65536
#: How many bytes a pipe may hold when a command ends, at most: what comes later is of what it left running.
_LATE: Final = 1 << 20

# It is told a process group, and ends that unless it is told that all is over. A process of its own, and
# outside of the group, since this one may be killed, too: then the system closes the other end of its input.
_GUARD: Final = """
while read -r word; do
    [ "$word" = over ] && exit
    group=$word
done
[ "$group" ] || exit
kill -s TERM -- "-$group"
for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 0.1
    kill -s 0 -- "-$group" || exit
done
kill -s KILL -- "-$group"
"""


class ShellTask(Task):
    """A task that hands a command to a shell, or a program to the interpreter of another language.

    Its value is the last line of output, or a list of all lines. Standard error goes the same way as standard
    output. Lines are logged as they come. A command that fails, fails its attempt, whose message has the exit
    status and the last lines; its result is a ``subprocess.CalledProcessError``. When the run is called off,
    the command's process group is ended, also when the worker itself is killed.

    Parameters
    ----------
    command : str or None
        What to run; may be given, or given anew, when the task is called.
    env : mapping of str to str, or None
        Variables that are added to the worker's environment.
    helper_script : str or None
        What to run before the command, in the same shell: functions, ``set -e`` and the like.
    shell : str
        The program that gets a file with the command: ``"bash"``, ``"sh"``, ``"Rscript"``, ``"python -u"``.
    return_all : bool
        Whether the value is the list of all lines.
    log_stderr : bool
        Whether the output of a command that failed is logged as an error, at most its last 1000 lines.
    stream_output : bool, int or str
        Whether lines are logged as they come, at ``INFO``, or at the level that a number or name says.
    name : str or None
        What the task is called; by default ``"ShellTask"``.
    **options : OptionArgs
        Retries, trigger, tags and the like.

    Raises
    ------
    DefinitionError
        When ``shell`` or ``stream_output`` cannot work.
    DefinitionTypeError
        When ``env`` is no mapping, or one of the others no text.

    Examples
    --------
    >>> count = ShellTask(command="echo $((6 * FACTOR))", shell="sh", env={"FACTOR": "7"})
    >>> count.run()
    '42'
    """

    def __init__(
        self,
        command: str | None = None,
        env: Mapping[str, str] | None = None,
        helper_script: str | None = None,
        shell: str = "bash",
        return_all: bool = False,
        log_stderr: bool = False,
        stream_output: bool | int | str = False,
        name: str | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        super().__init__(name=name, **options)
        for option, given, kind, mend in (
            ("command", command, str | None, "a text: command='ls'"),
            ("helper_script", helper_script, str | None, "a text: helper_script='set -e'"),
            ("shell", shell, str, "the name of a program: shell='bash'"),
        ):
            check_kind(f"Task {self.name!r}", option, given, kind, f"give {mend}.")
        self.command = command
        self.env = None if env is None else self._variables(env)
        self.helper_script = helper_script
        if not shell.strip():
            raise DefinitionError(
                f"Task {self.name!r}: shell={shell!r} names no program; write shell='bash'."
            )
        self.shell = shell
        self.return_all = return_all
        self.log_stderr = log_stderr
        self.stream_output = _level(self.name, stream_output)

    @defaults_from_attrs("command", "env", "helper_script")
    def run(
        self,
        command: str | None = None,
        env: Mapping[str, str] | None = None,
        helper_script: str | None = None,
    ) -> str | list[str] | None:
        """Run the command to its end.

        Parameters
        ----------
        command : str or None
            What to run; by default, the task's own.
        env : mapping of str to str, or None
            Variables that are added to the environment; by default, the task's own.
        helper_script : str or None
            What to run before; by default, the task's own.

        Returns
        -------
        str, list of str or None
            The last line of output, None if there was none; all lines with ``return_all``.

        Raises
        ------
        DefinitionTypeError
            When there is no command.
        FileNotFoundError
            When the shell is not installed here.
        FAIL
            When the command fails; its result is what it said, as above.
        """
        if command is None:
            raise DefinitionTypeError(
                f"Task {self.name!r} has no command; pass command=... to ShellTask, or when it is called."
            )
        kept: deque[str] = deque(maxlen=None if self.return_all else LOGGED if self.log_stderr else SHOWN)
        with tempfile.NamedTemporaryFile("w", prefix="prefectlite-", encoding="utf-8") as script:
            script.write(f"{helper_script}\n" if helper_script else "")
            script.write(f"{command}\n")
            script.flush()
            with self._started(script.name, env) as process:
                for line in _lines(process):
                    kept.append(line)
                    if self.stream_output is not None:
                        self.logger.log(self.stream_output, "%s", line)
                status = _status(process)
        if status:
            self._fail(status, command, list(kept))
        return self._value(list(kept))

    @contextlib.contextmanager
    def _started(self, script: str, env: Mapping[str, str] | None) -> Iterator[subprocess.Popen[bytes]]:
        """Start the shell; whatever ends this block before the shell has ended, ends its process group."""
        words = [*shlex.split(self.shell), script]
        with contextlib.ExitStack() as ends:
            # Popen's own way out of a block would not wait for the end after a Ctrl-C.
            guard = _guard()
            pipe = guard.stdin
            assert pipe is not None
            ends.callback(guard.wait)
            ends.callback(pipe.close)
            try:
                process = subprocess.Popen(
                    words,
                    env=None if env is None else {**os.environ, **self._variables(env)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"Task {self.name!r} needs the program {words[0]!r}, which is not there where it ran. "
                    "Install it there, or pass another shell=... to ShellTask."
                ) from error
            assert process.stdout is not None
            ends.callback(process.stdout.close)
            ends.callback(process.wait)
            ends.callback(pipe.close)  # before anything waits
            # Said twice: an interruption may come before the first time.
            ends.callback(_tell, pipe, str(process.pid))
            _tell(pipe, str(process.pid))
            yield process
            _tell(pipe, "over")

    def _value(self, lines: list[str]) -> str | list[str] | None:
        return lines if self.return_all else lines[-1] if lines else None

    def _fail(self, status: int, command: str, lines: list[str]) -> None:
        if self.log_stderr and lines:
            self.logger.error("%s", "\n".join(lines[-LOGGED:]))
        ended = f"failed with exit status {status}" if status > 0 else f"was ended by {_signal(-status)}"
        last = lines[-SHOWN:]
        said = "\n".join(["Its last lines:", *last]) if last else "It said nothing."
        cause = subprocess.CalledProcessError(status, command, "\n".join(last))
        # As in Prefect 1, the output is the result of a failure, too; without any, it is an exception.
        given = {"result": self._value(lines)} if lines else {}
        raise FAIL(f"The command {ended}. {said}", **given) from cause

    def _variables(self, env: Mapping[str, str]) -> dict[str, str]:
        check_kind(f"Task {self.name!r}", "env", env, Mapping, "write env={'NAME': 'value'}.")
        return {str(name): str(value) for name, value in env.items()}


def _guard() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )


def _tell(pipe: IO[bytes], word: str) -> None:
    # A guard that has ended, or was killed, needs not be told, and the command goes on without it.
    with contextlib.suppress(BrokenPipeError):
        pipe.write(f"{word}\n".encode())


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield what a process says, line by line, until it has ended or falls silent for good."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    poll = select.poll()  # select.select() knows no descriptor over 1023
    poll.register(pipe, select.POLLIN)
    rest, late = b"", 0
    while late < _LATE:
        is_over = process.poll() is not None  # asked first: what was said before the end is there then
        # An interruption is not noticed inside a call of the system, so none may last.
        if poll.poll(0 if is_over else _PULSE * 1000):
            chunk = os.read(pipe, _CHUNK)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(_text, lines)
            if not chunk:
                break
            late += len(chunk) * is_over
        elif is_over:
            break
    if rest:
        yield _text(rest)


def _status(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process, which may have closed its output long before its end."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_PULSE)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _level(name: str, given: Any) -> int | None:
    if isinstance(given, bool):
        return logging.INFO if given else None
    level = logging.getLevelNamesMapping().get(given.upper()) if isinstance(given, str) else given
    if not isinstance(level, int):
        raise DefinitionError(
            f"Task {name!r}: stream_output={given!r} is no level of logging; "
            "write True, False, 'DEBUG' or 10."
        )
    return level
