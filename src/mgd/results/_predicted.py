"""Predictions of a trained run: outputs, classes and scores."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import RunError
from ..chips import AbstractChip
from ..datasets import Task
from ..runs import TaskTable, replace_file
from ._assessed import Assessment, assess, class_names, decided, one_of, output_names
from ._formats import check_predictions
from ._given_data import read_given
from ._loaded import LoadedRun, load_run, samples_of


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one or all replicas of a run.

    Attributes:
        run: the run.
        replicas: the numbers of the replicas.
        outputs: the outputs of each.
        targets: the targets; None if they are not known.
        assessments: the scores of each; empty without targets.
    """

    run: LoadedRun
    replicas: tuple[int, ...]
    outputs: Float[np.ndarray, "replica n outputs"]
    targets: Float[np.ndarray, "n outputs"] | None
    assessments: tuple[Assessment, ...]

    @property
    def answers(self) -> np.ndarray:
        """Names of classes over (replica, n), or labels or values over (replica, n, output)."""
        decided = np.stack([self._decided(outputs) for outputs in self.outputs])
        return np.array(class_names(self.run.task))[decided] if one_of(self.run.task) else decided

    def _decided(self, outputs: np.ndarray) -> np.ndarray:
        return decided(outputs, self.run.task, is_logit=self.run.is_logit)

    def as_dict(self, *, outputs: bool = True) -> dict[str, Any]:
        """These predictions in types of JSON, with or without the outputs themselves."""
        run = self.run
        found: dict[str, Any] = {
            "run": str(run.folder),
            "task": run.task.name,
            "kind": run.task.kind,
            "finished": run.finished,
            "step": run.step,
            "samples": self.outputs.shape[1],
        }
        found["replicas"] = [{"replica": number} for number in self.replicas]
        for place, entry in enumerate(found["replicas"]):
            if self.assessments:
                entry |= self.assessments[place].as_dict()
            if outputs:
                entry |= {"predictions": self.answers[place].tolist(), "raw": self.outputs[place].tolist()}
        return found

    def save(self, path: str | Path) -> None:
        """Writes outputs and predictions, by the file's suffix: CSV with one line for each sample, or NPZ.

        Raises:
            ValueError: if the suffix is neither.
            RunError: if the file cannot be written.
        """
        path = Path(path)
        check_predictions(path)
        content = self._csv() if path.suffix.lower() == ".csv" else self._npz()
        try:
            replace_file(path, content)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from error

    def _csv(self) -> bytes:
        facts, text = self.run.task, io.StringIO()
        names, single = output_names(facts), one_of(facts)
        table = csv.writer(text, lineterminator="\n")
        said = ["prediction"] if single else [] if facts.kind == "values" else [f"prediction_{name}" for name in names]
        due = [] if self.targets is None else ["target"] if single else [f"target_{name}" for name in names]
        table.writerow(["replica", "sample", *(f"output_{name}" for name in names), *said, *due])
        targets = None if self.targets is None else self._due(self.targets)
        for place, number in enumerate(self.replicas):
            answers = self.answers[place]
            for row, outputs in enumerate(self.outputs[place]):
                cells = [] if not said else np.atleast_1d(answers[row]).tolist()
                cells = [int(cell) if isinstance(cell, bool) else cell for cell in cells]
                wanted = [] if targets is None else np.atleast_1d(targets[row]).tolist()
                table.writerow([number, row, *(f"{value:.9g}" for value in outputs), *cells, *wanted])
        return text.getvalue().encode()

    def _due(self, targets: np.ndarray) -> np.ndarray:
        facts = self.run.task
        return np.array(class_names(facts))[decided(targets, facts)] if one_of(facts) else targets

    def _npz(self) -> bytes:
        arrays: dict[str, Any] = {
            "outputs": self.outputs,
            "predictions": self.answers,
            "replicas": np.array(self.replicas),
        }
        arrays["classes"] = np.array(class_names(self.run.task), np.str_)
        if self.targets is not None:
            arrays["targets"] = self.targets
        content = io.BytesIO()
        np.savez(content, **arrays)
        return content.getvalue()


def predict(
    folder: str | Path,
    data: str | Path | None = None,
    *,
    replica: int | str = "best",
    chip: AbstractChip | None = None,
    task: Task | None = None,
) -> Predictions:
    """Predictions for the test samples of a run, or for those of a file, and their scores.

    Args:
        folder: the run directory, finished or not.
        data: a CSV, TSV, NPZ or NPY file, with targets or without; by default the task's test samples.
        replica: the chip: its number, "best" or "all".
        chip: as in `load_run`.
        task: as in `load_run`; its test samples are then the ones that are predicted.

    Raises:
        RunError, ValueError: as `load_run`; also ValueError if the file's inputs do not match those of training.
        DataError: if data cannot be read.
    """
    run = load_run(folder, chip=chip, task=task)
    run.model()
    numbers = run.replicas(replica)
    if data is None:
        test = samples_of(run, task).test
        outputs = np.stack([run.answer(test, replica=number) for number in numbers])
        targets = test.y
    else:
        table = run.settings.task
        given = read_given(Path(data), run.task, header=table.header if isinstance(table, TaskTable) else None)
        outputs = np.stack([run.predict(given.x, replica=number) for number in numbers])
        targets = given.y
    assessments = ()
    if targets is not None:
        assessments = tuple(assess(each, targets, run.task, is_logit=run.is_logit) for each in outputs)
    return Predictions(run, numbers, outputs, targets, assessments)
