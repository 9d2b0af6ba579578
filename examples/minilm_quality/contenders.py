"""The methods that are compared, at one budget: 165,888 of the encoder's weights.

That is LoRA of rank 4 on every linear layer of the encoder. Each method also trains the new head
(2,310 parameters); embeddings and pooler are frozen but for ``full``. All but ``unstructured`` are
compiled; that one is masked dense PyTorch, as no structure is left that a compiler could use.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import peft
import task
import torch
from torch import Tensor, nn

from ssft.compiler import Recipe, compile
from ssft.runtime import Session

MEASURED = 6
"""Batches that gradients are accumulated over where masks follow from them."""

SHARE = 1 / 64
"""Of each matrix: 6 of 384 rows or columns, 24 of 1536."""

MAX_GRAD_NORM = 1.0
HEAD, REMAINDER = ("classifier.*",), ("bert.pooler.*", "bert.embeddings.*")
LINEAR = r".*encoder\.layer\.\d+\..*(query|key|value|dense)"


@dataclass(frozen=True)
class Run:
    """One training: `step` takes a batch and a learning rate and returns the loss."""

    step: Callable[[task.Batch, float], float]
    finished: Callable[[], nn.Module]


@dataclass(frozen=True)
class Prepared:
    """What does not depend on the learning rate; `start` begins anew, from the same weights."""

    start: Callable[[], Run]
    trained: int


Prepare = Callable[[nn.Module, int], Prepared]


@dataclass(frozen=True)
class Contender:
    """`prepare` takes a model and a seed; `rates` are the learning rates to choose from."""

    label: str
    prepare: Prepare
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)


def _sparse(method: str, **options) -> Prepare:
    """A method of the compiler."""
    options = {"train": HEAD, "freeze": REMAINDER} | options

    def prepare(model: nn.Module, seed: int) -> Prepared:
        return _compiled(model, seed, Recipe(method, seed=seed, **options))

    return prepare


def _compiled(
    model: nn.Module, seed: int, recipe: Recipe, exported: Callable = lambda model: model
) -> Prepared:
    """Compiles once; `exported` makes of the trained model what is judged."""
    plan = compile(
        model,
        _tensors(next(task.training_batches(seed))),
        optimizer=_optimizer,
        recipe=recipe,
        max_grad_norm=MAX_GRAD_NORM,
        batches=task.training_batches(seed) if recipe.calibrate else None,
    )
    text, weights = plan.text(), plan.stored_weights()

    def start() -> Run:
        session = Session.from_text(text, weights)

        def step(batch: task.Batch, rate: float) -> float:
            session.learning_rate = rate
            return session.step(batch)

        def finished() -> nn.Module:
            trained, arrays = copy.deepcopy(model), session.state_dict()
            names = trained.state_dict()
            trained.load_state_dict({name: torch.from_numpy(arrays[name]) for name in names})
            return exported(trained)

        return Run(step, finished)

    return Prepared(start, plan.report()["trainable_parameters"])


def _rows(model: nn.Module, seed: int) -> Prepared:
    """Random rows of each matrix. Method ``rows`` takes whole heads, too much for this budget."""
    draw = np.random.default_rng(seed)
    masks = []
    for name, weight in _matrices(model).items():
        rows = draw.choice(len(weight), round(SHARE * len(weight)), replace=False)
        masks.append(f"{name}:rows={'+'.join(map(str, sorted(rows)))}")
    return _sparse("explicit", masks=tuple(masks))(model, seed)


def _lora(model: nn.Module, seed: int) -> Prepared:
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=LINEAR, modules_to_save=["classifier"]
    )
    adapted = peft.get_peft_model(model, config).train()
    return _compiled(adapted, seed, Recipe("full"), lambda trained: trained.merge_and_unload())


def _unstructured(model: nn.Module, seed: int) -> Prepared:
    """The entries with the largest accumulated squared gradients, as many of each matrix."""
    matrices = _matrices(model)
    squares = {name: torch.zeros_like(weight) for name, weight in matrices.items()}
    for batch in islice(task.training_batches(seed), MEASURED):
        gradients = torch.autograd.grad(model(**_tensors(batch)).loss, list(matrices.values()))
        for name, gradient in zip(matrices, gradients, strict=True):
            squares[name] += gradient.square()
    masks = {name: _largest(square) for name, square in squares.items()}
    masked = sum(int(mask.sum()) for mask in masks.values())
    head = sum(p.numel() for p in model.classifier.parameters())
    return Prepared(lambda: _masked_dense(copy.deepcopy(model), masks), masked + head)


def _masked_dense(model: nn.Module, masks: dict[str, Tensor]) -> Run:
    """Trains `masks` and the head in PyTorch. Without decay, no gradient means no update."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in masks or name.startswith("classifier."))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = _optimizer(trained)

    def step(batch: task.Batch, rate: float) -> float:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = model(**_tensors(batch)).loss
        loss.backward()
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.grad *= masks[name]
        nn.utils.clip_grad_norm_(trained, MAX_GRAD_NORM)
        optimizer.step()
        return loss.item()

    return Run(step, lambda: model)


def _matrices(model: nn.Module) -> dict[str, Tensor]:
    parameters = model.bert.encoder.named_parameters(prefix="bert.encoder")
    return {name: weight for name, weight in parameters if weight.dim() == 2}


def _largest(values: Tensor) -> Tensor:
    mask = torch.zeros(values.numel())
    mask[values.flatten().topk(round(SHARE * values.numel())).indices] = 1
    return mask.reshape(values.shape)


def _optimizer(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)


def _tensors(batch: task.Batch) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def rates(steps: int, highest: float) -> Iterator[float]:
    """Learning rates of all steps: up during a tenth of them, then down to zero, linearly."""
    rising = max(1, steps // 10)
    for number in range(steps):
        yield highest * min((number + 1) / rising, (steps - number) / (steps - rising + 1))


CONTENDERS = {
    "head": Contender("head only", _sparse("explicit"), (3e-3, 1e-2, 3e-2)),
    "full": Contender("full", _sparse("full", train=(), freeze=()), (1e-4, 3e-4, 1e-3)),
    "lora": Contender("LoRA", _lora),
    "s2ft": Contender(
        # One head of 12, and 40 channels of 1536, in each layer.
        "S2FT",
        _sparse("s2ft", ratios=("*.attention.output.*=0.08", f"*.output.dense.weight={40 / 1536}")),
    ),
    "ssft": Contender("SSFT", _sparse("ssft", ratio=SHARE, calibrate=MEASURED)),
    "rows": Contender("rows", _rows),
    "columns": Contender("columns (PaCA)", _sparse("paca", ratio=SHARE)),
    "unstructured": Contender("unstructured", _unstructured),
}
