"""Microseconds of augmentation per image on one core, against the peers, in one run.

Four questions, one protocol: whole recipes (the default), single transforms (--transforms), how the cost grows with
batch, image side and number of transforms (--curves), and where the time goes (--floor).

Every peer gets uint8 images in memory in its own layout; recipes fill a normalized float32 batch, single transforms
give uint8 back. Parameters are drawn inside the timed call, reading and decoding are not timed. Each round times every
candidate once, in random order, after one untimed call; tables show medians, with quartiles of the ratios within a
round, which a slow phase of the machine does not bend. The clock is the processor time of the whole process (see
`protocol.py`). Beside each speed stands how far the output is from torchvision's: in distribution (mean and standard
deviation over a batch; boxes and their area; class frequencies), or pixel by pixel where parameters can be pinned.

    python benchmarks/throughput.py [RECIPE ...] [--rounds N] [--images DIR] [--json FILE] [--quick]
    python benchmarks/throughput.py --transforms [NAME ...] [--size 224]
    python benchmarks/throughput.py --curves
    python benchmarks/throughput.py --floor [RECIPE ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import curves
import floor
import per_transform
import recipes
import targets
import torch
from peers import BASE, REFERENCE, candidates
from protocol import Candidate, Failed, Kept, Table, Timing, head, measure, moments, one_core, photos, save
from recipes import Recipe

RECIPES: dict[str, Recipe] = {**recipes.RECIPES, **targets.RECIPES}
ROUNDS, QUICK_ROUNDS = {"recipes": 7, "transforms": 5, "curves": 5, "floor": 5}, 2
COMPILE_LIMIT_S = 45.0


def table_of(recipe: Recipe, folder: str | None = None, compile_limit_s: float = 0.0) -> Table:
    """Return what renders one recipe in each library."""
    if recipe.targets:
        return targets.candidates(recipe, targets.samples(recipe, folder))
    return candidates(recipe, photos(recipe.batch, recipe.size, folder), compile_limit_s)


def rows_of(recipe: Recipe, table: Table, rounds: int, draws: int = 4) -> list[dict[str, Any]]:
    """Measure one recipe; one row per candidate, with what failed where one did."""
    timings = measure(table, rounds)
    parity = {name: _parity(recipe, c, draws) for name, c in table.items() if isinstance(c, Candidate)}
    return [_row(recipe, name, candidate, timings, parity) for name, candidate in table.items()]


def _parity(recipe: Recipe, candidate: Candidate, draws: int) -> dict[str, Any]:
    mean, std = moments(candidate, draws)
    return {"mean": mean, "std": std, **(targets.followed(recipe, candidate, draws) if recipe.targets else {})}


def _row(
    recipe: Recipe,
    name: str,
    candidate: Candidate | Failed,
    timings: Mapping[str, Timing],
    parity: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    if isinstance(candidate, Failed):
        return {"name": name, "failed": candidate.why}
    times, quartiles = timings[name].times(timings[BASE])
    own, reference = dict(parity[name]), parity[REFERENCE]
    differences = {f"{key}_difference": round(own.pop(key) - reference[key], 3) for key in ("mean", "std")}
    if "classes" in own:  # total variation: the share of pixels that would have to change class
        gaps = [abs(a - b) for a, b in zip(own.pop("classes"), reference["classes"], strict=True)]
        own["classes_difference"] = round(sum(gaps) / 2, 3)
    speed = {"times_albumentations": times, "quartiles": quartiles}
    return {"name": name, "per_sample": candidate.per_sample, **timings[name].microseconds()} | (
        speed | differences | own
    )


def show(name: str, recipe: Recipe, rows: list[dict[str, Any]]) -> None:
    """Print one recipe's table."""
    print(f"\n{name}: batch of {recipe.batch}")
    print(f"{'':52} {'us / image':>10} {'times albumentations':>24}  mean, std - torchvision's; targets")
    for row in rows:
        if "failed" in row:
            print(f"{row['name']:52} {row['failed']}")
            continue
        ratio = f"{row['times_albumentations']:.2f} ({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})"
        parity = f"{row['mean_difference']:+.3f}, {row['std_difference']:+.3f}"
        extra = ", ".join(f"{k} {row[k]}" for k in ("boxes_per_image", "box_area", "classes_difference") if k in row)
        busy = f"  {100 * row['elsewhere']:.0f} % in other threads" if row["elsewhere"] > 0.02 else ""
        print(f"{row['name']:52} {row['microseconds_per_image']:>10} {ratio:>24}  {parity}; {extra}{busy}", flush=True)


def run_recipes(args: argparse.Namespace, rounds: int, results: dict[str, Any]) -> dict[str, Any]:
    """Measure the recipes that are not in `results`; --quick takes an eighth of each batch, and compiles nothing."""
    for name in args.names or RECIPES:
        if name in results:
            continue
        recipe = RECIPES[name]
        if args.quick:
            recipe = replace(recipe, batch=max(2, recipe.batch // 8))
        table = table_of(recipe, args.images, 0.0 if args.quick else args.compile_limit)
        results[name] = rows_of(recipe, table, rounds)
        show(name, recipe, results[name])
    return {"recipes": dict(results)}


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for, print it, and save it where it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="recipes or transforms; all by default")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--transforms", action="store_true", help="single transforms instead of recipes")
    mode.add_argument("--curves", action="store_true", help="cost against batch, image side, number of transforms")
    mode.add_argument("--floor", action="store_true", help="what bounds each recipe, and what each step takes")
    parser.add_argument("--rounds", type=int, help=f"by default {ROUNDS}")
    parser.add_argument("--size", type=int, default=224, help="side of the images of --transforms, in pixels")
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--compile-limit", type=float, default=COMPILE_LIMIT_S, help="seconds for torch.compile; 0: no")
    parser.add_argument("--quick", action="store_true", help="under two minutes: small batches, two rounds")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    kind = "transforms" if args.transforms else "curves" if args.curves else "floor" if args.floor else "recipes"
    known = {
        "recipes": RECIPES,
        "transforms": per_transform.NAMES,
        "curves": curves.CURVES,
        "floor": recipes.RECIPES,
    }[kind]
    if unknown := sorted(set(args.names) - set(known)):
        parser.error(f"there is no {', '.join(unknown)} among {kind}; there are {', '.join(known)}")
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS[kind])
    one_core()
    about = {**head(rounds, args.images), "quick": args.quick}
    print(f"{about['machine']}; {torch.get_num_threads()} thread, {rounds} rounds; {about['versions']}")
    kept = Kept(args.json, about)
    count = len(set(args.names or known) - set(kept))
    print(f"to be measured: {count} ({kind}), each candidate {rounds} times, in turn", flush=True)
    try:
        if kind == "recipes":
            content = run_recipes(args, rounds, kept)
        elif kind == "transforms":
            content = per_transform.run(args.names, args.size, rounds, args.images, args.quick, kept)
        elif kind == "floor":
            content = floor.run(args.names, rounds, args.images, args.quick, kept)
        else:
            content = curves.run(args.names, rounds, args.images, args.quick, kept)
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from here" if args.json else "stopped")
    save(args.json, {**about, **content})
    kept.end()


if __name__ == "__main__":
    main()
