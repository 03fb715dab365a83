"""gRPC in processes that fork.

What gRPC has begun in a parent works in a child only by its own fork support, which a host may have turned
off (GRPC_ENABLE_FORK_SUPPORT=0): then the child would be killed at its first call. So a connection is made at
the first export, which in programs that are loaded and then forked is in the child; and where it is too late
for that, the child sends nothing.
"""

import os
from typing import Any, ClassVar, Final

from footfall._settings import ConfigurationError

_NO: Final = frozenset({"0", "f", "false", "n", "no"})
"""What gRPC takes for no (`LoadConfigFromEnv` with absl's booleans)."""


class Deferred:
    """Makes an exporter of OpenTelemetry connect at its first export; stands before it in the bases."""

    _begun = False
    _beginner: ClassVar[int] = 0
    """The process that first used gRPC for us."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if Deferred._beginner not in (0, os.getpid()) and _unsupported():
            raise ConfigurationError(
                [
                    "a process that has sent over gRPC was forked, with GRPC_ENABLE_FORK_SUPPORT=0:"
                    " remove that, or set FOOTFALL_PROTOCOL=http/protobuf"
                ]
            )
        super().__init__(*args, **options)

    def _initialize_channel_and_stub(self) -> None:
        if self._begun:
            super()._initialize_channel_and_stub()  # type: ignore[misc]

    def export(self, *args: Any, **options: Any) -> Any:
        """Exports; the first time it connects."""
        if not self._begun:
            self._begun = True
            Deferred._beginner = Deferred._beginner or os.getpid()
            self._initialize_channel_and_stub()
        return super().export(*args, **options)  # type: ignore[misc]


def _unsupported() -> bool:
    return os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() in _NO
