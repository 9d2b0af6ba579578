"""`Session`: a plan in memory, ready to train."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssft.compiler.buffers import allocate, batch_arrays
from ssft.compiler.diagnostics import UserError
from ssft.compiler.masks import Mask
from ssft.compiler.permutation import axis_orders
from ssft.compiler.plan_schema import ArgumentInfo, StepSignature
from ssft.compiler.tensor_files import release
from ssft.compiler.weights import Array
from ssft.runtime.adapters.adapter import Adapter
from ssft.runtime.adapters.extraction import extract
from ssft.runtime.adapters.files import save_adapter
from ssft.runtime.checkpoint import load_checkpoint, save_checkpoint
from ssft.runtime.executor import Executor, find_executor, make_evaluator, make_executor
from ssft.runtime.index_lists import IndexLists, checked_list
from ssft.runtime.layout import full_layout, original, with_aliases
from ssft.runtime.memory_budget import argument_bytes, weights_to_map
from ssft.runtime.plan_text import PlanIdentity, check_version, parse_plan, read_plan
from ssft.runtime.weights_file import (
    load_measuring_step,
    load_weights,
    same_shape,
    weights_in_original_layout,
)

if TYPE_CHECKING:
    from ssft.compiler.backends.cpu import MemoryUse
    from ssft.compiler.calibration import Measurer
    from ssft.compiler.recipes.selection import Selection


class NonFiniteLossError(UserError):
    """A step's loss was infinite or not a number; the weights hold the update made with it."""


class Session:
    """One training run of a plan: owns the weights and the optimizer states.

    Args:
        plan: path of the plan; its weights are read from the sidecar next to it.
        device: ``"cpu"``, with options as in ``"cpu:high"``, or another one of
            `ssft.runtime.executor.make_executor`.
        allow_non_finite: go on if a loss is infinite or not a number, instead of raising.
        cache: use the cache of compiled steps on disk.
        memory_budget: bytes that a step may take. If its weights do not fit as well, those that
            never change are read from their file, where they lie.

    Raises:
        UserError: the plan or its weights are missing, damaged or of another version, or a step
            does not fit the budget.
    """

    def __init__(
        self,
        plan: str | os.PathLike[str],
        device: str = "cpu",
        *,
        allow_non_finite: bool = False,
        cache: bool = True,
        memory_budget: int | None = None,
    ) -> None:
        path = Path(plan)
        self._open(read_plan(path), str(path), device, cache)
        weights = load_weights(path, self.signature)
        self._start(weights, allow_non_finite, release, memory_budget)
        self.directory = path.parent
        self._plan_path = path

    @classmethod
    def from_text(
        cls,
        text: str,
        weights: Mapping[str, np.ndarray | Array],
        device: str = "cpu",
        *,
        allow_non_finite: bool = False,
        cache: bool = True,
        measuring: str | None = None,
    ) -> Session:
        """A session of the plan `text` with parameters `weights`, laid out as the plan says.

        `measuring` is the plan's measuring step, if it has one.
        """
        session = cls.__new__(cls)
        session._open(text, "plan", device, cache)
        dtypes = {argument.name: argument.dtype for argument in session.signature.arguments}
        arrays = {
            name: value if isinstance(value, Array) else Array(dtypes.get(name, ""), value)
            for name, value in weights.items()
        }
        session._start(arrays, allow_non_finite)
        session._measuring_text = measuring
        return session

    def _open(self, text: str, file: str, device: str, cache: bool) -> None:
        """Reads the signature of the plan `text`, with its program if that is in the cache."""
        self.device, self.cache = device, cache
        self._text = text
        self._found = find_executor(device, text, cache=cache)
        self.signature = self._found.signature if self._found else parse_plan(text, file)
        check_version(self.signature, file)

    def _start(
        self,
        weights: Mapping[str, Array],
        allow_non_finite: bool,
        done_with: Callable[[Array], None] = lambda array: None,
        memory_budget: int | None = None,
    ) -> None:
        """Compiles the step and copies the weights, calling `done_with` for each.

        Those that must stay in their file for the sake of `memory_budget` are not copied.
        """
        signature = self.signature
        self.directory: Path | None = None
        self._plan_path: Path | None = None
        self.allow_non_finite = allow_non_finite
        self._identity = PlanIdentity(self._text)
        self._orders = axis_orders(signature.permutations)
        self._executor: Executor = self._found or make_executor(
            self.device, self._text, cache=self.cache
        )
        self.mapped = frozenset(weights_to_map(signature, self.memory, memory_budget))
        self._arrays = [
            _initial(argument, signature, weights, done_with, argument.name in self.mapped)
            for argument in signature.arguments
        ]
        self._lists = IndexLists(signature, self._arrays)
        self._addresses = [array.ctypes.data for array in self._arrays]
        self._measuring: Measurer | None = None
        self._measuring_text: str | None = None
        self._outputs = _Outputs(self._executor)
        self._evaluator: Executor | None = None

    def watch(self, on_progress: Callable[[int, int], None]) -> None:
        """Has `on_progress` told how many commands of a step are done, and how many there are.

        Only the functional model of the accelerator does so; its steps can take minutes.
        """
        executor: Any = self._executor
        if hasattr(executor, "on_progress"):
            executor.on_progress = on_progress

    def step(self, batch: Mapping[str, Any]) -> float:
        """Trains on one batch and returns its loss, taken before the update.

        `batch` maps input names to NumPy arrays or CPU tensors of the plan's shapes.

        Raises:
            UserError: the batch does not fit the plan.
            NonFiniteLossError: the loss is not finite; the weights are already updated with it.
        """
        self._executor.run(self._pointers(batch, self._outputs))
        loss = self._outputs.loss()
        if not math.isfinite(loss) and not self.allow_non_finite:
            raise NonFiniteLossError(
                f"the loss is {loss} at step {self.step_count}",
                notes=[
                    "the update with it has been made: go back to a checkpoint to continue",
                    "a lower learning rate or gradient clipping may help",
                    "--allow-non-finite (or allow_non_finite=True) goes on regardless",
                ],
            )
        return loss

    def evaluate(self, batch: Mapping[str, Any]) -> float:
        """Returns the loss of a batch without training on it, with the draws of the next step.

        The model stays in the mode in which it was compiled: in training mode, with dropout. The
        step is compiled a second time, without its backward pass, when this is first called.
        """
        if self._evaluator is None:
            self._evaluator = make_evaluator(self.device, self._text, cache=self.cache)
        outputs = _Outputs(self._evaluator)
        self._evaluator.run(self._pointers(batch, outputs))
        return outputs.loss()

    def _pointers(self, batch: Mapping[str, Any], outputs: _Outputs) -> list[int]:
        inputs = batch_arrays(self.signature.inputs, batch)
        # What the caller may reuse stays alive through `inputs` until the run is over.
        self._inputs = inputs
        pointers = self._addresses + outputs.addresses
        for argument in self.signature.inputs:
            pointers[argument.index] = inputs[argument.name].ctypes.data
        return pointers

    @property
    def current_signature(self) -> StepSignature:
        """The plan's signature with the masks and tiles of what trains now."""
        return self._lists.signature

    @property
    def choices(self) -> int:
        """How often it has been chosen what trains; the plan's own choice is the first."""
        return len(self._lists.history)

    @property
    def reselection_is_due(self) -> bool:
        """Whether the plan wants what trains to be chosen again before the next step."""
        every = self.selection.every if self.selection is not None else 0
        return bool(every) and self.step_count // every >= self.choices

    @cached_property
    def selection(self) -> Selection | None:
        """How the plan says that rows and columns are chosen again; None if they are not."""
        from ssft.compiler.recipes.selection import Selection

        text = self.signature.selection
        return None if text is None else Selection.from_text(text)

    def reselect(
        self,
        batches: Iterable[Mapping[str, Any]] = (),
        *,
        masks: Mapping[str, Mask] | None = None,
    ) -> None:
        """Chooses again which rows and columns train; the compiled step stays the same.

        Elements that train before and after keep their optimizer states, others start with zeros.
        By default the plan's recipe chooses: at random with its seed and the number of the choice,
        or by measuring the model on `batches`, as many as `Selection.measure` says.

        Args:
            batches: what to measure the model with, if the recipe does.
            masks: what shall train instead, by parameter.

        Raises:
            UserError: the plan has its indices compiled in, there are too few batches, or `masks`
                differ from the plan's in more than indices.
        """
        if masks is None:
            if self.selection is None:
                raise UserError(
                    "what trains under this plan cannot be chosen again",
                    notes=["compile the model with --reselect STEPS"],
                )
            wanted = self.selection.measure
            statistics = self._measurer().measure(batches, wanted) if wanted else None
            masks = self.selection.choose(self.choices, statistics)
        self._lists.choose(masks)

    def _measurer(self) -> Measurer:
        """The compiled measuring step on this session's weights; compiled when first needed."""
        if self._measuring is None:
            from ssft.compiler.calibration import Measurer
            from ssft.compiler.recipes.recipe import Recipe
            from ssft.compiler.recipes.registry import importance_of

            text = self._measuring_text
            if text is None and self._plan_path is not None:
                text = load_measuring_step(self._plan_path, self.signature)
            if text is None:
                raise UserError(
                    "the step that measures the model is not known",
                    notes=["give it: Session.from_text(…, measuring=plan.measuring)"],
                )
            weights = {
                argument.name: Array(argument.dtype, self._arrays[argument.index])
                for argument in self.signature.parameters
            }
            recipe = self.selection.recipe if self.selection is not None else Recipe()
            ranked_by = importance_of(recipe.method, recipe.importance)
            self._measuring = Measurer(text, weights, sensitivity=ranked_by == "sensitivity")
        return self._measuring

    def model_file(self) -> str | None:
        """Returns the model file that the plan was compiled from, if the plan says which.

        The plan holds the path that ``ssftc`` was given; it is looked for from the working
        directory and from the plan's.
        """
        source = self.signature.source
        if source is None or self.directory is None or Path(source).is_file():
            return source
        beside = self.directory / source
        return str(beside) if beside.is_file() else source

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; can be set at any time."""
        return float(self._single("hyper", "lr"))

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._single("hyper", "lr")[...] = value

    @property
    def step_count(self) -> int:
        """How many steps the weights have been trained for."""
        return int(self._single("step", None))

    @property
    def seed(self) -> int | None:
        """The seed of the model's random numbers; None if it draws none. Can be set."""
        found = list(self.signature.with_role("seed"))
        return int(self._arrays[found[0].index]) if found else None

    @seed.setter
    def seed(self, value: int) -> None:
        self._single("seed", None)[...] = value

    def _single(self, role: str, name: str | None) -> np.ndarray:
        for argument in self.signature.with_role(role):
            if name is None or argument.name == name:
                return self._arrays[argument.index]
        raise UserError(f"the plan has no argument '{name or role}'")

    @property
    def memory(self) -> MemoryUse | None:
        """The memory that a step works on, by purpose, if the device accounts for it (the CPU)."""
        return getattr(self._executor, "memory", None)

    @property
    def mapped_bytes(self) -> int:
        """How much of `memory` lies in the plan's weights file, and leaves memory when it must."""
        return argument_bytes(self.signature, self.mapped)

    @property
    def from_cache(self) -> bool:
        """Whether the step had been compiled before."""
        return self._found is not None

    @property
    def metrics(self) -> dict[str, float]:
        """The further scalars that the last step computed, by name."""
        return {
            result.name or f"metric{result.index}": _scalar(array, result.dtype)
            for result, array in self._outputs.pairs
            if result.role == "metric"
        }

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the last step in original names and layout, zeros where nothing trains.

        Empty unless the plan was compiled to give them out.
        """
        parts: dict[str, list[Any]] = {}
        results = {result.index: result for result in self.current_signature.results}
        for result, array in self._outputs.pairs:
            if result.role == "gradient":
                current = results[result.index]
                parts.setdefault(result.name or "", []).append((current, array))
        parameters = {a.name: a for a in self.signature.parameters}
        return {
            name: full_layout(found, parameters[name].shape, self._orders)
            for name, found in parts.items()
        }

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers, in the model's names and layout.

        ``bfloat16`` tensors come as their bits in ``uint16``.
        """
        arrays = {
            argument.name: original(self._arrays[argument.index], argument, self._orders)
            for argument in self.signature.parameters
        }
        return with_aliases(arrays, self.signature.parameters)

    def optimizer_state(self) -> dict[str, dict[str, np.ndarray]]:
        """Optimizer states by parameter and PyTorch's key, zeros for elements that do not train."""
        parameters = {a.name: a for a in self.signature.parameters}
        parts: dict[tuple[str, str], list[Any]] = {}
        for argument in self.current_signature.with_role("state"):
            key = (argument.name, argument.state or "")
            parts.setdefault(key, []).append((argument, self._arrays[argument.index]))
        states: dict[str, dict[str, np.ndarray]] = {}
        for (name, key), found in parts.items():
            full = full_layout(found, parameters[name].shape, self._orders)
            states.setdefault(name, {})[key] = full
        return states

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a checkpoint; an older one at `path` is replaced only by a complete one."""
        save_checkpoint(path, self.signature, self._arrays, self._identity, self._lists.history)

    def export_adapter(
        self, path: str | os.PathLike[str], base: Mapping[str, Array] | None = None
    ) -> Adapter:
        """Writes what training changed as an adapter, in original order, and returns it.

        `base` holds the weights before training as the plan stores them; default: the plan's file.

        Raises:
            UserError: the session was made of text, and `base` is not given.
        """
        if base is None:
            if self._plan_path is None:
                raise UserError(
                    "the weights before training are not known",
                    notes=["give them: export_adapter(path, plan.stored_weights())"],
                )
            base = load_weights(self._plan_path, self.signature)
        adapter = extract(self.signature, self.state_dict(), base, self._lists.history)
        save_adapter(path, adapter)
        return adapter

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Replaces parameters and buffers by those of a file; states and step count stay.

        The file is in the model's names and layout, as ``ssft-run --save`` writes it; of whatever
        plan of the model. A bad one leaves the session unchanged.

        Raises:
            UserError: it lacks a parameter, or one differs in type; or weights stay in the plan's
                file for the sake of a memory budget.
        """
        if self.mapped:
            raise UserError(
                "weights that stay in the plan's file cannot be replaced",
                notes=["leave out the memory budget, or make it larger"],
            )
        found = weights_in_original_layout(path, self.signature, self._orders)
        for number, data in found.items():
            np.copyto(self._arrays[number], data)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Continues from a checkpoint of the same plan; a bad one leaves the session unchanged."""
        found = load_checkpoint(path, self.signature, self._arrays, self._identity)
        self._lists = IndexLists(self.signature, self._arrays, found)


class _Outputs:
    """Memory for what an executor returns: loss, metrics, gradients."""

    def __init__(self, executor: Executor) -> None:
        self.pairs = [(result, allocate(result.shape, result.dtype)) for result in executor.outputs]
        self.addresses = [array.ctypes.data for _, array in self.pairs]
        self._losses = [pair for pair in self.pairs if pair[0].role == "loss"]

    def loss(self) -> float:
        if not self._losses:
            raise UserError("the plan has no result with the role 'loss'")
        result, array = self._losses[0]
        return _scalar(array, result.dtype)


def _initial(
    argument: ArgumentInfo,
    signature: StepSignature,
    weights: Mapping[str, Array],
    done_with: Callable[[Array], None],
    mapped: bool,
) -> np.ndarray:
    """The memory of an argument before the first step; inputs get none.

    A `mapped` weight is what `weights` holds, no copy of it.
    """
    if argument.role == "input":
        return np.empty(0)
    if argument.role in ("trainable", "frozen"):
        stored = weights.get(argument.name)
        if stored is None:
            raise UserError(f"the plan's weights lack '{argument.name}'")
        fits = same_shape(stored.data.shape, argument.shape)
        if stored.dtype != argument.dtype or not fits:
            raise UserError(
                f"weight '{argument.name}' is {list(stored.data.shape)} {stored.dtype}, "
                f"but the plan wants {list(argument.shape)} {argument.dtype}"
            )
        if mapped:
            return stored.data.reshape(argument.shape)
        array = allocate(argument.shape, argument.dtype)
        np.copyto(array, stored.data.reshape(argument.shape))
        done_with(stored)
        return array
    array = allocate(argument.shape, argument.dtype)
    if argument.role == "index":
        array[...] = checked_list(argument, argument.indices or ())
    elif argument.role == "hyper":
        array[...] = signature.optimizer.get(argument.name, 0.0)
    return array


def _scalar(array: np.ndarray, dtype: str) -> float:
    if dtype == "bf16":
        return float((array.astype(np.uint32) << 16).view(np.float32).reshape(-1)[0])
    return float(array.reshape(-1)[0])
