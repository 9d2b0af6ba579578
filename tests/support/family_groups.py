"""Which axes of each family co-permutation reorders, what it refuses, and why.

A group lists the dimensions that move together: `o_proj.1` is dimension 1 of the matrix of that
name. FFN channels are free, with everything that is indexed by them; heads move with their queries,
keys, values and biases, and heads that share keys and values move within their group or with it.
Nothing may move along an axis where positions matter.
"""

from __future__ import annotations

import re

from method_matrix import model

from ssft.compiler import Recipe
from ssft.compiler.plan import Plan

OUTPUTS = Recipe("rows", ratio=0.4, seed=2)
"""Half of the heads and other output channels of every matrix."""


def last_units(family: str) -> Recipe:
    """The last quarter of what S2FT chooses from: an order that nothing has by itself."""
    masks = model(family).compile(Recipe("s2ft", ratio=0.25)).report()["masks"]
    sides = [(m["name"], "rows" if m["rows"] else "columns", m["shape"]) for m in masks]
    sized = [(name, what, shape[what == "columns"]) for name, what, shape in sides]
    texts = [f"{name}:{what}={size - size // 4}-{size - 1}" for name, what, size in sized]
    return Recipe("explicit", masks=tuple(texts))


def groups(plan: Plan) -> set[str]:
    """The permuted axes: size, and what moves along, in any layer."""
    signature = plan.signature()
    return {f"{axis.size}: {_members(plan, name)}" for name, axis in signature.permutations.items()}


def _members(plan: Plan, axis: str) -> str:
    found = [
        f"{short(argument.name)}.{dim}"
        for argument in plan.signature().parameters
        for dim, layout in enumerate(argument.permuted or ())
        if re.search(rf"\b{axis}\b", layout)
    ]
    return " ".join(sorted(set(found)))


def refusals(plan: Plan) -> dict[str, str]:
    """By rows or columns and parameter, why they stay gathered; axes by their size."""
    pattern = r"(rows|columns) of '(.*)' stay gathered: (.*)"
    found = [re.fullmatch(pattern, remark) for remark in plan.report()["remarks"]]
    return {
        f"{m[1]} of {short(m[2])}": re.sub(r"axis \w+ of size (\d+) is fixed", r"\1 fixed", m[3])
        for m in found
        if m
    }


def short(name: str) -> str:
    """The end of a parameter's name from its last component that says anything."""
    parts = [part for part in name.split(".") if part != "weight"]
    first = max(i for i, part in enumerate(parts) if part not in ("bias", "dense"))
    return ".".join(parts[first:])


def check_groups(family: str) -> None:
    """Compares with `GROUPS` and `REFUSED`, and the compiled code with both."""
    permuted = model(family).compile(last_units(family))
    assert groups(permuted) == GROUPS[family]
    assert refusals(permuted) == {}
    assert "ssft.gather" not in permuted.text(locations=False)
    outputs = model(family).compile(OUTPUTS)
    assert refusals(outputs) == REFUSED.get(family, {})
    stored = {
        f"{what} of {short(mask['name'])}": how
        for mask in outputs.report()["masks"]
        for what, how in mask["stored"].items()
    }
    assert {side for side, how in stored.items() if how == "gathered"} == set(refusals(outputs))
    assert ("ssft.gather" in outputs.text(locations=False)) == bool(refusals(outputs))


VOCABULARY = {"rows of lm_head": "96 fixed: position used"}
"""The loss compares positions with labels."""

TABLE = "96 fixed: looked up by value"
JOINED = "the chosen set does not lie in one of the parts {} that are joined here"
"""A fused projection's queries, keys and values (gate and up) each have chosen rows."""

GATED = "48: down_proj.1 gate_proj.0 up_proj.0"
GROUPS = {
    "llama-mha": {"4: k_proj.0 o_proj.1 q_proj.0 v_proj.0", GATED},
    # Groups move with their keys and values; query heads move within all groups alike.
    "llama-gqa": {"2: k_proj.0 o_proj.1 q_proj.0 v_proj.0", "2: o_proj.1 q_proj.0", GATED},
    "llama-mqa": {"4: o_proj.1 q_proj.0", GATED},
    "llama-biased": {
        "2: k_proj.0 k_proj.bias.0 o_proj.1 q_proj.0 q_proj.bias.0 v_proj.0 v_proj.bias.0",
        "2: o_proj.1 q_proj.0 q_proj.bias.0",
        "48: down_proj.1 gate_proj.0 gate_proj.bias.0 up_proj.0 up_proj.bias.0",
    },
    "bert": {
        "4: key.0 key.bias.0 output.dense.1 query.0 query.bias.0 value.0 value.bias.0",
        "48: intermediate.dense.0 intermediate.dense.bias.0 output.dense.1",
        "32: classifier.1 pooler.dense.0 pooler.dense.bias.0",
    },
    "gpt2": {"4: c_attn.1 c_attn.bias.0 c_proj.0", "128: c_fc.1 c_fc.bias.0 c_proj.0"},
    # The last head lies in the last group, which is first among its own queries, keys and values.
    "phi3": {"2: o_proj.1 qkv_proj.0", "48: down_proj.1 gate_up_proj.0"},
    "gpt-neox": {
        "4: attention.dense.1 query_key_value.0 query_key_value.bias.0",
        "48: dense_4h_to_h.1 dense_h_to_4h.0 dense_h_to_4h.bias.0",
    },
    # ALiBi's slopes are computed from the number of the head.
    "mpt": {"128: down_proj.1 up_proj.0"},
    # The relative bias of each layer's heads moves along.
    "t5": {"4: k.0 o.1 q.0 v.0", "4: k.0 o.1 q.0 relative_attention_bias.1 v.0", "48: wi.0 wo.1"},
    "whisper": {
        "4: k_proj.0 out_proj.1 q_proj.0 q_proj.bias.0 v_proj.0 v_proj.bias.0",
        "48: fc1.0 fc1.bias.0 fc2.1",
    },
}
REFUSED = {
    "llama-mha": VOCABULARY,
    "llama-gqa": VOCABULARY,
    # One head of keys: its channels are chosen singly, and rotary embedding couples both halves.
    "llama-mqa": VOCABULARY | {"rows of k_proj": JOINED.format("4 + 4")},
    "llama-biased": VOCABULARY,
    "gpt2": {"rows of wte": TABLE, "columns of c_attn": JOINED.format("4x8 + 4x8 + 4x8")},
    "phi3": VOCABULARY
    | {
        "rows of qkv_proj": JOINED.format("2x2x(4 + 4) + 2x(4 + 4) + 2x8"),
        "rows of gate_up_proj": JOINED.format("48 + 48"),
    },
    "gpt-neox": VOCABULARY,
    "mpt": {
        "rows of wte": TABLE,
        "rows of Wqkv": "4 fixed: position used; 4 fixed: position used",
    },
    "t5": {"rows of shared": TABLE},
    "whisper": {"rows of embed_tokens": TABLE},
}
