from __future__ import annotations

from ssft.compiler.analysis.updates import UpdateGroup, update_groups, updated_parameter

from .steps import argument, update, updates

T = "4x6xf32"
TT = f"tensor<{T}>"


def test_groups_tie_weights_and_their_states(parse_step):
    arguments = ", ".join(
        [
            argument("a", T, "trainable"),
            argument("b", T, "trainable"),
            argument("frozen", T, "frozen"),
            argument("b", T, "state", "exp_avg").replace("%b", "%b1"),
            argument("b", T, "state", "exp_avg_sq").replace("%b", "%b2"),
            argument("step", "f64", "step"),
        ]
    )
    results = ", ".join(
        [updates(4, T), updates(1, T), updates(5, "f64"), updates(0, T), updates(3, T)]
    )
    returned = f"%b2, %b, %step, %a, %b1 : {TT}, {TT}, tensor<f64>, {TT}, {TT}"
    step = parse_step(arguments, "", results, returned)
    assert update_groups(step.op) == [
        UpdateGroup("a", 0, 3, ()),
        UpdateGroup("b", 1, 1, ((3, 4), (4, 0))),
    ]


def test_no_updates(parse_step):
    assert update_groups(parse_step(argument("a", T, "trainable"), "").op) == []


ARGUMENTS = f"{argument('x', T)}, {argument('w', T, 'trainable')}, {argument('g', '4x2xf32')}"


def test_the_parameter_of_a_whole_update(parse_step):
    step = parse_step(ARGUMENTS, update("new", "%w", "%x", T))
    assert updated_parameter(step["new"]) == 1


def test_the_parameter_behind_slices(parse_step):
    body = """
        %i = arith.constant dense<[1, 4]> : tensor<2xi64>
        %p = "ssft.gather"(%w, %i) {dim = 1 : i64}
            : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<4x2xf32>"""
    body += update("first", "%p", "%g", "4x2xf32")
    body += """
        %put = "ssft.scatter"(%w, %i, %first) {dim = 1 : i64}
            : (tensor<4x6xf32>, tensor<2xi64>, tensor<4x2xf32>) -> tensor<4x6xf32>
        %q = tensor.extract_slice %put[0, 2] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>"""
    body += update("second", "%q", "%g", "4x2xf32")
    body += """
        %put2 = tensor.insert_slice %second into %put[0, 2] [4, 2] [1, 1]
            : tensor<4x2xf32> into tensor<4x6xf32>
        %s = tensor.extract_slice %put2[0, 0] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>"""
    body += update("third", "%s", "%g", "4x2xf32")
    step = parse_step(ARGUMENTS, body)
    assert [updated_parameter(step[name]) for name in ("first", "second", "third")] == [1, 1, 1]


def test_a_weight_from_elsewhere(parse_step):
    body = "%twice = arith.addf %w, %w : tensor<4x6xf32>" + update("new", "%twice", "%x", T)
    assert updated_parameter(parse_step(ARGUMENTS, body)["new"]) is None
