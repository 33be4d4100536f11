"""A task of one's own, as it stands in settings: the table `[task]`. Nothing here imports JAX before data are read."""

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
# A hidden layer of as many neurons as there are inputs and outputs, and within these.
_FEWEST, _MOST = 8, 32


class Facts(BaseModel, extra="forbid", frozen=True):
    """What is known of data that were read once: enough to choose settings, and to know them again.

    Attributes:
        sha256: of the file; of several, of the list of their digests and names; of what a function makes, of its
            arrays.
        kind: of the targets.
        samples: to train on.
        input_shape: of one input.
        outputs: how many.
    """

    sha256: str
    kind: str
    samples: int
    input_shape: tuple[int, ...]
    outputs: int


class TaskTable(BaseModel):
    """Data of one's own, or a function that makes the task.

    Attributes:
        path: the file or folder; see `mgd.datasets.from_file` for it and for all to `header`.
        build: a function that returns a `mgd.datasets.Task`, as "module:function". It is the user's code, and is run.
        inputs: columns of inputs, or the name of their array.
        targets: columns of targets, the name of their array, or their file.
        kind: of the targets.
        test: file of the samples to test on.
        test_fraction: of the samples, that is kept to test on where there is no such file.
        split_seed: which these are.
        scaling: of the inputs.
        header: whether the first line has the names of the columns.
        folder: where the function's module is looked for first.
        facts: what is known of the data; filled in when a run begins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: _Text | None = None
    build: _Text | None = None
    inputs: Annotated[
        _Columns | None,
        Option("Columns of inputs of data of your own: names, numbers from 1, ranges; or their array.", "COLUMN[,…]"),
    ] = None
    targets: Annotated[
        _Columns | None, Option("Columns of targets, the last by default; their array, or their file.", "COLUMN[,…]")
    ] = None
    kind: Annotated[
        Literal["classes", "signs", "labels", "values"] | None, Option("What the targets are; inferred by default.")
    ] = None
    test: Annotated[_Text | None, Option("File with the samples to test on.", metavar="PATH")] = None
    test_fraction: Annotated[
        _Fraction | None, Option("Part of the samples that is kept to test on, without --test; 0.2 by default.")
    ] = None
    split_seed: Annotated[_Seed | None, Option("Which samples are kept to test on is drawn from it.")] = None
    scaling: Annotated[
        Literal["standard", "min-max", "none"] | None, Option("How inputs are scaled, by the training samples alone.")
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
            ValueError: if a setting is unknown, wrong, or does not go with the others: one line.
        """
        try:
            table = cls(**settings)
        except ValidationError as error:
            known = [name for name in cls.model_fields if name not in ("folder", "facts")]
            raise ValueError(first_error(_without_unions(error), known)) from None
        if (table.path is None) == (table.build is None):
            raise ValueError(
                'give path, the file or folder of your data, or build = "module:function", a function of yours that '
                f"returns the task{'' if table.path is None else ', not both'}"
            )
        given = [name for name in cls.model_fields if getattr(table, name) is not None]
        if table.build is not None and (over := [name for name in given if name not in ("build", "folder", "facts")]):
            raise ValueError(
                f"what build returns is a whole task: leave out {', '.join(over)}, or do it in the function"
            )
        if table.test is not None and table.test_fraction is not None:
            raise ValueError("test is a file of its own, so none of the others is kept: leave test_fraction out")
        return table

    def placed(self, folder: Path) -> Self:
        """This table with whole paths, those in it being relative to that folder."""
        whole = {name: os.path.abspath(folder / path) for name in ("path", "test") if (path := getattr(self, name))}
        if self.build is not None:
            whole["folder"] = os.path.abspath(folder / (self.folder or "."))
        return self.model_copy(update=whole)

    @property
    def name(self) -> str:
        """What the task is called: by its file, or its function."""
        if self.build is not None:
            return self.build.rpartition(":")[2]
        assert self.path is not None
        return _plain(Path(self.path).stem or "data")

    @property
    def anywhere(self) -> Self:
        """This table as it is wherever the data lie; its facts say which they are."""
        return self.model_copy(update={"path": None, "test": None, "folder": None})

    @property
    def code(self) -> dict[str, Any]:
        """What code it names, as `_code` wants it; empty if it names none."""
        return {} if self.build is None else {"kind": "task", "build": self.build, "folder": self.folder or "."}

    @property
    def told(self) -> str:
        """What was read, in one line; of a task that is loaded."""
        task = self._loaded
        assert task is not None
        if self.build is None:
            return task.source
        sizes = f"{len(task.train):,} samples to train on, {len(task.test):,} to test on"
        return f"{self.build}, code of yours, was run: {sizes}"

    def load(self, order: str) -> "Task":
        """The task; that of before, if it was loaded already.

        Raises:
            ValueError: if a setting does not fit the data, or the function cannot be run or returns no task.
            DataError: if the data cannot be read, or are not those that the facts are of.
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
                "put it back as it was, or train anew"
            )

    def with_facts(self, order: str) -> Self:
        """This table with what its data tell now, which are read, and with whole paths.

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
        """Its row: settings that may learn it, by its sizes.

        The chip is a perceptron with one hidden layer, of as many neurons as there are inputs and outputs together, at
        least 8 and at most 32. Its outputs are linear where targets are values or signs.
        """
        facts = self.facts
        assert facts is not None, "the row of a task of one's own follows from its data"
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
            f"data of your own, {self.name}",
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


# The settings of a table that are options of the command line too.
TASK_OPTIONS = tuple(
    name for name, info in TaskTable.model_fields.items() if any(isinstance(m, Option) for m in info.metadata)
)


def task_given(text: str) -> str | dict[str, Any]:
    """The task that someone named on the command line: a name, or the table of a file, a folder or a function.

    Raises:
        ValueError: if it is none of these; with the nearest names.
    """
    if text in TASKS:
        return text
    known = Path(text).suffix.lower() in KNOWN
    if os.path.isfile(text) and not known:
        raise ValueError(
            f"{text!r} is a file but not a .toml, nor data that can be read: give a task ({', '.join(TASKS)}), "
            f"CONFIG.toml, or data ({', '.join(KNOWN)} or a folder)"
        )
    if known or os.sep in text or os.path.lexists(text):
        return {"path": os.path.abspath(text)}
    if _NAMED_FUNCTION.fullmatch(text):
        return {"build": text, "folder": os.path.abspath(".")}
    check_name(text)
    return text


def digest_of_files(files: Iterable[Path]) -> str:
    """SHA-256 of a file; of several, of the list that `sha256sum` makes of them.

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
    """A name that can be a folder's, and be typed."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"


def _without_unions(error: ValidationError) -> ValidationError:
    """The error with the setting's name alone as the place of each, without the types that were tried."""
    errors = [
        {"type": one["type"], "loc": one["loc"][:1], "input": one["input"], "ctx": one.get("ctx", {})}
        for one in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, errors)  # pyright: ignore[reportArgumentType]
