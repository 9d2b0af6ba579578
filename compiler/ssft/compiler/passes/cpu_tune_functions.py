"""``cpu-tune-functions``: tell LLVM how to compile the functions that hold kernels.

LLVM uses half of each vector register on processors whose clock once dropped when they used all of
it. A kernel that is called from one place only would be inlined there, where its arguments are no
longer known not to overlap. Functions that name the instructions they are made of know better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ssft.compiler.passes.base import Pass, PassContext
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class CpuTuneFunctionsPass(Pass):
    """Sets ``prefer_vector_width`` and ``no_inline`` on ``llvm.func`` operations with a body.

    With `cpu` and `features` it also says for which processor they are compiled.
    """

    argument: ClassVar[str] = "cpu-tune-functions"

    width: int = field(
        default=512, metadata={"help": "bits of a vector, where the processor has as many"}
    )
    cpu: str = field(
        default="", metadata={"help": "LLVM's name of a processor, 'x86-64-v3'; empty: the host's"}
    )
    features: str = field(
        default="", metadata={"help": "all that it can do beside, joined by ';', e.g. '+avx2;+fma'"}
    )

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Marks the functions of `module`."""
        with module.context:
            features = ", ".join(f'"{name}"' for name in self.features.split(";") if name)
            for function in module.regions[0].blocks[0].operations:
                op = function.operation
                if op.name != "llvm.func" or not len(op.regions[0].blocks):
                    continue
                if "target_features" not in op.attributes:
                    op.attributes["prefer_vector_width"] = ir.StringAttr.get(str(self.width))
                    op.attributes["no_inline"] = ir.UnitAttr.get()
                    if self.cpu:
                        op.attributes["target_cpu"] = ir.StringAttr.get(self.cpu)
                        op.attributes["target_features"] = ir.Attribute.parse(
                            f"#llvm.target_features<[{features}]>"
                        )
                    context.statistics["functions"] += 1
