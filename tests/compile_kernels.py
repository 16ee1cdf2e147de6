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
from augsynth.engines import triton_layout as layout
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
APART = {"TOGETHER": False, "CLOSE": False, "UNIT": True, "BY_ROW": False, **TILE}
ROWS = {**APART, "TOGETHER": True, "CLOSE": True, "BY_ROW": True}
LARGE, SMALL = {"FILTERS": True, "CUBICS": True}, {"FILTERS": True, "CUBICS": False}
NOBODY, BOTH = {"MASK": None, "POINT": None}, {"MASK": tl.int64, "POINT": tl.float32}


def compile_for(function, capability, warps, registers, spills=4, **constants):
    """Compile for sm_<capability> as it is launched; a thread spills at most `spills` bytes to memory."""
    signature = {name: "constexpr" if name in constants else TYPES.get(name, "fp32") for name in function.arg_names}
    source = ASTSource(function, signature, constexprs=constants)
    options = {"num_warps": warps, "maxnreg": registers}
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert "cubin" in compiled.asm
    assert compiled.metadata.shared < 40_000
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(compiled.asm["ptx"])
        file.flush()
        target = re.search(r"[.]target (sm_\w+)", compiled.asm["ptx"])[1]
        command = [triton.knobs.nvidia.ptxas.path, "-v", f"--gpu-name={target}", file.name, "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    used, spilled = int(re.search(r"Used (\d+) registers", said)[1]), re.findall(r"(\d+) bytes spill", said)
    print(function.__name__, capability, used, spilled)
    assert used <= (registers or 160), said
    assert max(map(int, spilled)) <= spills, said


if __name__ == "__main__":
    colors = {"C": 3, "FROM": tl.uint8, "TO": tl.bfloat16, "STATISTICS": False}
    gray = {"C": 1, "FROM": tl.float16, "TO": tl.uint8, "STATISTICS": True}
    compile_for(kernel.render, 90, 4, None, **colors, **APART, **LARGE, **NOBODY)
    compile_for(kernel.render, 90, *layout.PIXELS, **colors, **APART, **SMALL, **BOTH)
    compile_for(kernel.render, 80, *layout.PIXELS, **gray, **APART, **SMALL, **NOBODY)
    compile_for(kernel.render, 90, *layout.ROWS, 420, **colors, **ROWS, **SMALL, **BOTH)
    compile_for(kernel.render, 90, *layout.ROWS, 420, **{**colors, "FROM": tl.bfloat16}, **ROWS, **SMALL, **NOBODY)
    compile_for(kernel.render, 80, *layout.ROWS, **gray, **{**ROWS, "TOGETHER": False}, **SMALL, **NOBODY)
    compile_for(kernel.warp_masks, 80, 4, None, TYPE=tl.int64, **TILE)
    compile_for(draw, 90, 1, None, C=3, EXACT=True, RIDERS=True, N=1)
    compile_for(draw, 80, 1, None, C=1, EXACT=False, RIDERS=False, N=1)
