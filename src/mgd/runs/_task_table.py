"""A user's own task in settings: the table `[task]`. Nothing here imports JAX before data are read."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from .._errors import DataError
from .._input import first_error, open_file
from ..datasets import KNOWN, check_name
from ..rows import TASKS, TaskRow
from ._option import Option

if TYPE_CHECKING:
    from ..datasets import Task

_Text = Annotated[str, Field(min_length=1, strict=True)]
_Chosen = _Text | Annotated[int, Field(ge=1, strict=True)]
_Columns = _Chosen | Annotated[tuple[_Chosen, ...], Field(min_length=1)]
_Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)]
_Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
_NAMED_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
# The hidden layer has as many neurons as there are inputs and outputs, within these limits.
_FEWEST, _MOST = 8, 32


class Facts(BaseModel, extra="forbid", frozen=True):
    """The facts of data that were read: enough to choose settings, and to recognise the data.

    Attributes:
        sha256: the digest of the file; of the list of digests and names, for several files; of the arrays, for a task
            made by a function.
        kind: the kind of the targets.
        samples: number of training samples.
        input_shape: the shape of one input.
        outputs: number of outputs.
    """

    sha256: str
    kind: str
    samples: int
    input_shape: tuple[int, ...]
    outputs: int


class TaskTable(BaseModel):
    """The user's own data, or a function that makes the task.

    Attributes:
        path: the file or folder. `mgd.datasets.from_file` describes this and the settings up to `header`.
        build: a function that returns a `mgd.datasets.Task`, as "module:function". It is the user's code, and is run.
        inputs: columns of inputs, or the name of their array.
        targets: columns of targets, the name of their array, or their file.
        kind: the kind of the targets.
        test: the file of the test samples.
        test_fraction: the fraction of the samples that becomes the test set, if there is no such file.
        split_seed: the seed that draws the test set.
        scaling: the scaling of the inputs.
        header: whether the first line has the names of the columns.
        folder: the folder in which Python looks first for the function's module.
        facts: the facts of the data; filled in when a run begins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: _Text | None = None
    build: _Text | None = None
    inputs: Annotated[
        _Columns | None,
        Option("Input columns of your own data: names, numbers from 1, or ranges; or their array.", "COLUMN[,…]"),
    ] = None
    targets: Annotated[
        _Columns | None, Option("Target columns, the last by default; or their array, or their file.", "COLUMN[,…]")
    ] = None
    kind: Annotated[
        Literal["classes", "signs", "labels", "values"] | None, Option("The kind of the targets; inferred by default.")
    ] = None
    test: Annotated[_Text | None, Option("File with the test samples.", metavar="PATH")] = None
    test_fraction: Annotated[
        _Fraction | None, Option("Fraction of the samples for the test set, without --test; 0.2 by default.")
    ] = None
    split_seed: Annotated[_Seed | None, Option("Seed that draws the test set.")] = None
    scaling: Annotated[
        Literal["standard", "min-max", "none"] | None,
        Option("Scaling of the inputs, fitted to the training samples alone."),
    ] = None
    header: Annotated[
        Annotated[bool, Field(strict=True)] | None, Option("The first line of the table has the names of its columns.")
    ] = None
    folder: _Text | None = None
    facts: Facts | None = None
    _loaded: "Task | None" = PrivateAttr(default=None)
    _digest: str = PrivateAttr(default="")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The table of a dictionary.

        Raises:
            ValueError: if a setting is unknown or wrong, or does not fit the others.
        """
        try:
            table = cls(**settings)
        except ValidationError as error:
            known = [name for name in cls.model_fields if name not in ("folder", "facts")]
            raise ValueError(first_error(_without_unions(error), known)) from None
        if (table.path is None) == (table.build is None):
            raise ValueError(
                'give path, the file or folder of your data, or build = "module:function", your own function that '
                f"returns the task{'' if table.path is None else ', not both'}"
            )
        given = [name for name in cls.model_fields if getattr(table, name) is not None]
        if table.build is not None and (over := [name for name in given if name not in ("build", "folder", "facts")]):
            raise ValueError(f"build returns a whole task: leave out {', '.join(over)}, or set it in the function")
        if table.test is not None and table.test_fraction is not None:
            raise ValueError("test gives the test set, so the training file is not split: leave test_fraction out")
        return table

    def placed(self, folder: Path) -> Self:
        """This table with absolute paths; its paths are relative to this folder."""
        whole = {name: os.path.abspath(folder / path) for name in ("path", "test") if (path := getattr(self, name))}
        if self.build is not None:
            whole["folder"] = os.path.abspath(folder / (self.folder or "."))
        return self.model_copy(update=whole)

    @property
    def name(self) -> str:
        """The name of the task: that of its file, or of its function."""
        if self.build is not None:
            return self.build.rpartition(":")[2]
        assert self.path is not None
        return _plain(Path(self.path).stem or "data")

    @property
    def anywhere(self) -> Self:
        """This table without the place of the data; its facts identify them."""
        return self.model_copy(update={"path": None, "test": None, "folder": None})

    @property
    def code(self) -> dict[str, Any]:
        """The code that this table names, in the form for `_code`; empty if there is none."""
        return {} if self.build is None else {"kind": "task", "build": self.build, "folder": self.folder or "."}

    @property
    def summary(self) -> str:
        """One line about the data that were read; only for a loaded task."""
        task = self._loaded
        assert task is not None
        if self.build is None:
            return task.source
        sizes = f"{len(task.train):,} samples to train on, {len(task.test):,} to test on"
        return f"{self.build}, your own code, was run: {sizes}"

    def load(self, order: str) -> "Task":
        """The task, which is loaded only once.

        Raises:
            ValueError: if a setting does not fit the data, or the function cannot be run or returns no task.
            DataError: if the data cannot be read, or do not match the facts.
        """
        if self._loaded is not None and (self.build is not None or self._loaded.order == order):
            return self._loaded
        if self.build is not None:
            task = self._built()
        else:
            from ..datasets import from_file

            assert self.path is not None
            task = from_file(
                self.path,
                inputs=self.inputs,
                targets=self.targets,
                kind=self.kind,
                test=self.test,
                test_fraction=self.test_fraction,
                seed=self.split_seed or 0,
                scaling=self.scaling,
                order=order,
                header=self.header,
                name=self.name,
            )
        digest = digest_of_files(task.files) if task.files else digest_of_arrays(task)
        self._check_same(digest)
        self._loaded, self._digest = task, digest
        return task

    def _built(self) -> "Task":
        from ..datasets import Task
        from ..instruments import build

        made = build(self.build, {}, Path(self.folder or "."), "build")
        if not isinstance(made, Task):
            raise ValueError(
                f"build = {self.build!r} must return a mgd.datasets.Task, as from_arrays does, got a "
                f"{type(made).__name__}"
            )
        return made

    def _check_same(self, digest: str) -> None:
        if self.facts is not None and digest != self.facts.sha256:
            what = self.path or f"what build = {self.build!r} returns"
            raise DataError(
                f"{what} has changed since this run began (SHA-256 {digest[:12]}…, then {self.facts.sha256[:12]}…): "
                "put it back as it was, or start a new run"
            )

    def with_facts(self, order: str) -> Self:
        """This table with absolute paths and with the facts of its data, which are read now.

        Raises:
            ValueError, DataError: as `load`.
        """
        fresh = self.placed(Path()).model_copy(update={"facts": None})
        task = fresh.load(order)
        facts = Facts(
            sha256=fresh._digest,
            kind=task.kind,
            samples=len(task.train),
            input_shape=task.input_shape,
            outputs=task.n_outputs,
        )
        known = fresh.model_copy(update={"facts": facts})
        known._loaded, known._digest = task, fresh._digest
        return known

    def row(self) -> TaskRow:
        """Its row: settings that may learn it, chosen by its sizes.

        The chip is a perceptron with one hidden layer, which has as many neurons as inputs and outputs together, but at
        least 8 and at most 32. Its outputs are linear if targets are values or signs.
        """
        facts = self.facts
        assert facts is not None, "the row of a user's own task follows from its data"
        n_inputs = 1
        for n in facts.input_shape:
            n_inputs *= n
        chip: dict[str, Any] = {"hidden": [min(_MOST, max(_FEWEST, n_inputs + facts.outputs))]}
        rates = {"discrete": 0.1, "analog": 0.02, "backprop": 1.0}
        if facts.kind != "classes":
            chip["cost"] = "mse"
        if facts.kind in ("values", "signs"):
            chip["output"] = "linear"
            rates = {"discrete": 0.02, "analog": 0.005, "backprop": 0.1}
        steps = {"discrete": 200_000, "analog": 300_000, "backprop": 10_000}
        batch = max(1, min(64, facts.samples // 2))
        return TaskRow(
            f"your own data, {self.name}",
            lambda: self.load("shuffled"),
            inputs=facts.input_shape,
            outputs=facts.outputs,
            samples=facts.samples,
            chip=chip,
            training={
                name: {"learning_rate": rate, "batch": batch, "steps": steps[name]} for name, rate in rates.items()
            },
            rule_steps=100_000,
        )


# The settings of a table that are also options of the command line.
TASK_OPTIONS = tuple(
    name for name, info in TaskTable.model_fields.items() if any(isinstance(m, Option) for m in info.metadata)
)


def task_given(text: str) -> str | dict[str, Any]:
    """The task that was named on the command line: a name, or the table of a file, a folder or a function.

    Raises:
        ValueError: if it is none of these; the message has the nearest names.
    """
    if text in TASKS:
        return text
    known = Path(text).suffix.lower() in KNOWN
    if os.path.isfile(text) and not known:
        raise ValueError(
            f"{text!r} is a file, but neither a .toml nor data that mgd can read: give a task ({', '.join(TASKS)}), "
            f"CONFIG.toml, or data ({', '.join(KNOWN)} or a folder)"
        )
    if known or os.sep in text or os.path.lexists(text):
        return {"path": os.path.abspath(text)}
    if _NAMED_FUNCTION.fullmatch(text):
        return {"build": text, "folder": os.path.abspath(".")}
    check_name(text)
    return text


def digest_of_files(files: Iterable[Path]) -> str:
    """SHA-256 of a file; for several files, of the list that `sha256sum` prints.

    Raises:
        DataError: if one cannot be read.
    """
    digests = {}
    for file in files:
        try:
            with open_file(file) as stream:
                digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
        except OSError as error:
            raise DataError(f"cannot read {file}: {error.strerror}") from error
    if len(digests) == 1:
        return next(iter(digests.values()))
    common = os.path.commonpath([file.parent for file in digests])
    listed = "".join(f"{digest}  {os.path.relpath(file, common)}\n" for file, digest in digests.items())
    return hashlib.sha256(listed.encode()).hexdigest()


def digest_of_arrays(task: "Task") -> str:
    """SHA-256 of a task's samples, as they are stored."""
    import numpy as np

    digest = hashlib.sha256()
    for samples in (task.train, task.test):
        for values in (samples.x, samples.y):
            digest.update(f"{values.shape} {values.dtype.str}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _plain(name: str) -> str:
    """A name that can be the name of a folder and is easy to type."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"


def _without_unions(error: ValidationError) -> ValidationError:
    """The error with only the setting's name as its place, without the types that pydantic tried."""
    errors = [
        {"type": one["type"], "loc": one["loc"][:1], "input": one["input"], "ctx": one.get("ctx", {})}
        for one in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, errors)  # pyright: ignore[reportArgumentType]
