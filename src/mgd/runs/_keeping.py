"""What a run keeps beside its checkpoints: of real chips their costs and diagnostics, of simulated ones nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._train import Session
from ._checkpoint import Owner

if TYPE_CHECKING:
    from ._hardware import Member


class AbstractKeeping(ABC):
    """A session, and what it leaves in the run directory beside all that every run leaves.

    Attributes:
        session: at its start.
        members: the real chips of the run.
    """

    session: Session
    members: "Sequence[Member]"

    @abstractmethod
    def recorded(self, folder: Path, owner: Owner) -> AbstractContextManager[Callable[[], None]]:
        """Keeps what there is to keep while the body runs; call what it gives after each checkpoint.

        Raises:
            RunError: if the run was made on another chip, or with other limits.
        """

    @property
    @abstractmethod
    def behind(self) -> bool:
        """Whether what was kept is still being taken up."""

    @property
    @abstractmethod
    def full(self) -> bool:
        """Whether so much is kept that a checkpoint is due, whatever the clock says."""

    @property
    @abstractmethod
    def unlearnt(self) -> str:
        """Why the run is to stop, because it learns nothing; empty if it is not."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What a summary says beside what it says of every run."""

    @abstractmethod
    def finished(self) -> None:
        """Takes away what only an unfinished run needs."""


class Nothing(AbstractKeeping):
    """Of simulated chips nothing is kept: all follows from the settings."""

    members = ()

    def __init__(self, session: Session):
        self.session = session

    def recorded(self, folder: Path, owner: Owner) -> AbstractContextManager[Callable[[], None]]:
        return nullcontext(lambda: None)

    @property
    def behind(self) -> bool:
        return False

    @property
    def full(self) -> bool:
        return False

    @property
    def unlearnt(self) -> str:
        return ""

    def summary(self) -> dict[str, Any]:
        return {}

    def finished(self) -> None:
        pass
