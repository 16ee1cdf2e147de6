"""Compile the kernels for devices that are not here, and ask ptxas what they take. Run by tests/test_triton_engine.py.

TRITON_INTERPRET must be off.
"""

from __future__ import annotations

import re
import subprocess
import tempfile

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from augsynth.engines import triton_kernel as kernel
from augsynth.engines.triton_draw import draw

_WORDS = ("table", "steps", "stops", "riders", "swaps", "sizes", "program", "blocks")
_WHOLE = ("samples", "tiles", "capacity", "stage", "stages", "instructions")
TYPES = {
    **dict.fromkeys(_WORDS, "*i32"),
    **dict.fromkeys(_WHOLE, "i32"),
    **dict.fromkeys(("inputs", "place_of"), "*i64"),
    **dict.fromkeys(("sums", "fill"), "*fp32"),
    "palette": "*fp64",
}
TILE = {"TILE_Y": 8, "TILE_X": 32}
LARGE, SMALL = {"FILTERS": True, "CUBICS": True, **TILE}, {"FILTERS": True, "CUBICS": False, **TILE}
NOBODY, BOTH = {"MASK": None, "POINT": None}, {"MASK": tl.int64, "POINT": tl.float32}


def compile_for(function, capability, most, warps=4, **constants):
    """Compile for sm_<capability>; a thread has `most` registers, and spills no more than a word to memory."""
    signature = {name: "constexpr" if name in constants else TYPES.get(name, "fp32") for name in function.arg_names}
    source = ASTSource(function, signature, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})
    assert "cubin" in compiled.asm
    assert compiled.metadata.shared < 40_000
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(compiled.asm["ptx"])
        file.flush()
        target = re.search(r"[.]target (sm_\w+)", compiled.asm["ptx"])[1]
        command = [triton.knobs.nvidia.ptxas.path, "-v", f"--gpu-name={target}", file.name, "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    used, spilled = int(re.search(r"Used (\d+) registers", said)[1]), re.findall(r"(\d+) bytes spill", said)
    print(function.__name__, capability, used)
    assert used <= most, said
    assert max(map(int, spilled)) <= 4, said


if __name__ == "__main__":
    colors = {"C": 3, "FROM": tl.uint8, "TO": tl.bfloat16, "STATISTICS": False}
    compile_for(kernel.render, 90, 160, **colors, **LARGE, **NOBODY)
    compile_for(kernel.render, 90, 64, **colors, **SMALL, **BOTH)
    compile_for(kernel.render, 80, 64, C=1, FROM=tl.float16, TO=tl.uint8, STATISTICS=True, **SMALL, **NOBODY)
    compile_for(kernel.warp_masks, 80, 64, TYPE=tl.int64, **TILE)
    compile_for(draw, 90, 160, warps=1, C=3, EXACT=True, RIDERS=True, N=1)
    compile_for(draw, 80, 160, warps=1, C=1, EXACT=False, RIDERS=False, N=1)
