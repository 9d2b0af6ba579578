"""Each of our decompositions computes what the ATen operation does."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from ssft.compiler.frontend.decompositions import decomposition_table

aten = torch.ops.aten
TABLE = decomposition_table()


def check(op, *args, **kwargs):
    ours = TABLE[op](*args, **kwargs)
    theirs = op(*args, **kwargs)
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple) else [(ours, theirs)]
    for actual, expected in pairs:
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ignore_index", [-100, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (3, 5, 2, 4)])
def test_nll_loss(shape, reduction, weighted, ignore_index):
    scores = torch.randn(shape, dtype=torch.float64)
    target = torch.randint(5, (*shape[:1], *shape[2:]) if len(shape) > 1 else ())
    if target.dim():
        target.view(-1)[0] = ignore_index
    weight = torch.rand(5, dtype=torch.float64) if weighted else None
    two = "2d" if len(shape) == 4 else ""
    forward = getattr(aten, f"nll_loss{two}_forward").default
    backward = getattr(aten, f"nll_loss{two}_backward").default
    ours = TABLE[forward](scores, target, weight, reduction, ignore_index)
    loss, total = forward(scores, target, weight, reduction, ignore_index)
    torch.testing.assert_close(ours[0], loss)
    if reduction:  # without one, the total is not used
        torch.testing.assert_close(ours[1], total)
    grad = torch.randn(loss.shape, dtype=torch.float64)
    check(backward, grad, scores, target, weight, reduction, ignore_index, total)


def test_nll_loss_of_ignored_rows_only_is_nan():
    target = torch.full((3,), -100)
    loss, _ = TABLE[aten.nll_loss_forward.default](torch.randn(3, 4), target, None, 1, -100)
    assert loss.isnan()


@pytest.mark.parametrize("padding_idx", [-1, 2])
def test_embedding_gradient(padding_idx):
    indices = torch.tensor([[1, 2, 1], [0, 2, 3]])
    grad = torch.randn(2, 3, 4, dtype=torch.float64)
    check(aten.embedding_dense_backward.default, grad, indices, 6, padding_idx, False)


def test_index_put_adds_repeated_rows():
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    i, j = torch.tensor([[0, 3], [0, -1]]), torch.tensor([1, 1])
    v = torch.randn(2, 2, 3, dtype=torch.float64)
    check(aten.index_put.default, x, [i, j], v, True)
    check(aten.index_put.default, x, [None, j, None], torch.randn(3).double(), True)
    check(aten.index_put.default, x, [None, None, j], torch.randn(4, 5, 2).double(), True)


def test_index_put_by_mask():
    x = torch.randn(4, 3, dtype=torch.float64)
    value = torch.tensor(2.0, dtype=torch.float64)
    for mask, accumulate in itertools.product([x > 0, x[:, 0] > 0], [False, True]):
        check(aten.index_put.default, x, [mask], value, accumulate)


def test_unsupported_forms_are_left_alone():
    x, index = torch.randn(4, 3), torch.tensor([0, 1])
    put = TABLE[aten.index_put.default]
    assert put(x, [index], torch.zeros(2, 3), False) is NotImplemented
    assert put(x[None], [index[:1], None, index[:1]], torch.zeros(1, 4), True) is NotImplemented
    many = torch.zeros(4, 20, dtype=torch.long)
    assert TABLE[aten.scatter.value](torch.zeros(4, 40), 1, many, 1.0) is NotImplemented
    assert TABLE[aten.topk.default](torch.randn(40), 20) is NotImplemented


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_scatters_along_a_dimension(dim):
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    sizes = list(x.shape)
    sizes[dim] = 2
    index = torch.randint(3, sizes)
    src = torch.randn(sizes, dtype=torch.float64)
    check(aten.scatter_add.default, x, dim, index, src)
    check(aten.scatter.src, x, dim, index.narrow(dim, 0, 1), src)
    check(aten.scatter.value, x, dim, index, 1.5)
    rows = torch.tensor([1, 0, 1])
    source = torch.randn([3 if i == dim % 3 else n for i, n in enumerate(x.shape)]).double()
    check(aten.index_add.default, x, dim, rows, source, alpha=2.0)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cumsum_and_topk(dim):
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    check(aten.cumsum.default, x, dim)
    check(aten.cumsum.default, (x > 0), dim)
    for largest in (True, False):
        check(aten.topk.default, x, 2, dim, largest, True)


@pytest.mark.parametrize("pad", [[-1, 2], [1, -1, -1, 0], [-1, -1, -2, 0]])
def test_negative_padding(pad):
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    check(aten.constant_pad_nd.default, x, pad, 0.5)


def test_max_pool_gradient():
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    options = ([3, 2], [2, 2], [1, 1], [1, 1], False)
    values, indices = aten.max_pool2d_with_indices(x, *options)
    backward = aten.max_pool2d_with_indices_backward.default
    check(backward, torch.randn_like(values), x, *options, indices)


def test_tanh_gelu_and_reverse_subtraction():
    x = torch.randn(100, dtype=torch.float64)
    check(aten.gelu.default, x, approximate="tanh")
    assert TABLE[aten.gelu.default](x, approximate="none") is NotImplemented
    check(aten.rsub.Scalar, x, 0.1, 3)


def test_bitwise_with_numbers():
    x = torch.randint(-100, 100, (20,), dtype=torch.int32)
    check(aten.bitwise_xor.Scalar, x, 0x55)
    check(aten.bitwise_or.Scalar, x, -7)


def test_embedding_layer_gradient_matches_autograd():
    layer = nn.Embedding(6, 4, padding_idx=2)
    indices = torch.tensor([2, 1, 1, 5])
    output = layer(indices)
    grad = torch.randn_like(output)
    (expected,) = torch.autograd.grad(output, layer.weight, grad)
    ours = TABLE[aten.embedding_dense_backward.default](grad, indices, 6, 2, False)
    torch.testing.assert_close(ours, expected)
