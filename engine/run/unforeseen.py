"""Whatever an adapter raises becomes its port's error family here, at one place; and what nobody foresaw gets a sentence.

The traceback goes to the engine's log, which the sentence names. An outcome that is not known stays so: a change of weights that
broke is read back like any other. Decides nothing else, and never catches what ends a task.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from engine.domain.clean import clean_text
from engine.domain.fleet import Host, ObjectRef, Region, ServerGroup
from engine.domain.message import Message, message
from engine.domain.problem import Problem, ProblemError
from engine.ports import Balancers, BalancerUnknown, Cloud, Job, Packages, PackagesError, Remote, RemoteError

T = TypeVar("T")
_log = logging.getLogger(__name__)

# What was called, with what, and what it raised → the error of the port's family.
Translate = Callable[[tuple[Any, ...], Exception], ProblemError]


class CheckBroke(ProblemError):
    """Code `check_broke`."""


class Unforeseen:
    """Makes problems of what was not foreseen. `log_place` is where the engine's log is, as an operator finds it."""

    def __init__(self, log_place: str) -> None:
        self._log_place = log_place

    def problem(self, code: str, what: Message, error: BaseException) -> Problem:
        """Logs the traceback. `what` says what was to be done, or to what."""
        _log.error("%s", what, exc_info=error)
        kind = type(error).__name__
        cause = clean_text(str(error))[:300] or kind
        said = message(
            "{what}: something unexpected happened ({kind}): {cause}.", what=str(what), kind=kind, cause=cause
        )
        file = getattr(error, "filename", None)
        if file:
            remedy = message(
                "Look at {file}; the details are in {log}. Correct what they name, then try again.",
                file=clean_text(str(file)),
                log=self._log_place,
            )
        else:
            remedy = message(
                "The details are in {log}. Correct what they name, then try again; if they name nothing, report it.",
                log=self._log_place,
            )
        return Problem(code, said, remedy)

    async def checking(self, order_id: int, part: Awaitable[T]) -> T:
        """A part of an order's check. Raises CheckBroke for what nobody foresaw: else nobody would see it loop."""
        try:
            return await part
        except ProblemError:
            raise
        except Exception as error:
            what = message("The check of order #{id} broke off", id=order_id)
            raise CheckBroke(self.problem("check_broke", what, error)) from error

    def remote(self, remote: Remote) -> Remote:
        def translate(asked: tuple[Any, ...], error: Exception) -> RemoteError:
            return RemoteError(self.problem("remote_unforeseen", _subject(asked), error))

        return cast(Remote, _Guarded(remote, translate))

    def cloud(self, cloud: Cloud) -> Cloud:
        return _GuardedCloud(cloud, self)

    def packages(self, packages: Packages) -> Packages:
        def translate(asked: tuple[Any, ...], error: Exception) -> PackagesError:
            return PackagesError(self.problem("oss_unforeseen", _subject(asked), error))

        return cast(Packages, _Guarded(packages, translate))

    def balancers(self, balancers: Balancers) -> Balancers:
        def translate(asked: tuple[Any, ...], error: Exception) -> BalancerUnknown:
            return BalancerUnknown(self.problem("balancer_unknown", _subject(asked), error))

        return cast(Balancers, _Guarded(balancers, translate))


class _GuardedCloud:
    def __init__(self, inner: Cloud, unforeseen: Unforeseen) -> None:
        self._inner = inner
        self._unforeseen = unforeseen

    def packages(self, regions: Sequence[Region]) -> Packages:
        return self._unforeseen.packages(self._inner.packages(regions))

    def balancers(self, regions: Sequence[Region]) -> Balancers:
        return self._unforeseen.balancers(self._inner.balancers(regions))


class _Guarded:
    """Stands for an adapter: each of its methods, of whatever kind, raises errors of its family only."""

    def __init__(self, inner: object, translate: Translate) -> None:
        self._inner = inner
        self._translate = translate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def guarded(*asked: Any, **more: Any) -> Any:
            try:
                answer = found(*asked, **more)
            except ProblemError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary of the adapters
                raise self._translate(asked, error) from None
            if isinstance(answer, AsyncIterator):
                return self._each(answer, asked)
            return self._awaited(answer, asked) if inspect.isawaitable(answer) else answer

        return guarded

    # `from None` in all of them: an SDK's exception may hold what it signed. The traceback is in the log.

    async def _awaited(self, answer: Awaitable[Any], asked: tuple[Any, ...]) -> Any:
        try:
            return await answer
        except ProblemError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the adapters
            raise self._translate(asked, error) from None

    async def _each(self, answers: AsyncIterator[Any], asked: tuple[Any, ...]) -> AsyncGenerator[Any, None]:
        try:
            async for answer in answers:
                yield answer
        except ProblemError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the adapters
            raise self._translate(asked, error) from None
        finally:
            if isinstance(answers, AsyncGenerator):
                await answers.aclose()


def _subject(asked: tuple[Any, ...]) -> Message:
    """What it was about: the first argument of every method of a port."""
    match asked[0] if asked else None:
        case Host() as host:
            return message("{host} ({address}:{port})", host=host.name, address=host.address, port=host.ssh_port)
        case Job() as job:
            host = job.host
            return message("{host} ({address}:{port})", host=host.name, address=host.address, port=host.ssh_port)
        case ObjectRef() as ref:
            return message("{key} in bucket {bucket}", key=ref.key, bucket=ref.bucket)
        case ServerGroup() as group:
            return message("load balancer {group}", group=str(group))
        case _:
            return message("something else")
