"""Write what the result files say: the README's speed table, benchmarks/results/README.md, and the plots.

Numbers are copied, never typed: the README's part stands between two markers, and a test compares it with the files.

    python benchmarks/report.py
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import report_generator
import report_page
import report_speed
import report_text
import report_training

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
COMMAND = "python benchmarks/report.py"
FILES = ("throughput", "transforms", "curves", "loader", "overhead", "parity", "gpu", "text", "accuracy")
FILES += ("imbalance", "cgan", "accuracy-images", "budgets", "decode", "floor", "tried")
TITLES = {
    "imagenet 256": "ImageNet: crop, flip, jitter, 256 to 224 px",
    "imagenet 500x375": "the same from 500x375",
    "imagenet affine 256": "the same with affine, 256 to 224 px",
    "simclr 256": "SimCLR, 256 to 224 px",
    "cifar 32": "CIFAR: crop and flip, 32 px",
    "cifar strong 32": "CIFAR with affine and jitter, 32 px",
    "rotate perspective resize": "rotation, perspective, resize, 256 to 224 px",
    "randaugment 32": "RandAugment, 32 px",
    "randaugment 224": "RandAugment, 224 px",
    "detection 640": "detection: crop, flip, jitter with boxes, 640 px",
    "segmentation 512": "segmentation: the same with a mask, 512 px",
}
# Column: the candidates whose best it shows, by how their names begin and what they must not contain.
COLUMNS = {
    "linear colour": ("augsynth linear",),
    "exact colour": ("augsynth exact", "augsynth"),
    "torchvision, per sample": ("torchvision, tensor", "torchvision, PIL"),
    "torchvision, one draw per batch": ("torchvision, batch",),
    "kornia": ("kornia",),
    "fuse-augmentations": ("fuse",),
}
MOST_NAMED, ELSEWHERE, LEAST_SECONDS = 8, 0.02, 0.05
Rows = Sequence[Mapping[str, Any]]


def load(folder: Path = RESULTS) -> dict[str, Any]:
    """Return the result files that there are, by name."""
    return {name: json.loads(path.read_text()) for name in FILES if (path := folder / f"{name}.json").exists()}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def made_by(result: Mapping[str, Any]) -> str:
    """Say in one sentence where numbers come from."""
    machine, quick = result["machine"], " A quick run, for a look only." if result.get("quick") else ""
    rounds = f"{result['rounds']} rounds, commit {result['commit']}"
    return f"`{result['command']}` on {machine['cpu']}, {machine['cores']} cores, {rounds}.{quick}"


def speed_block(results: Mapping[str, Any]) -> str:
    """Return the README's part: the recipes, and what is slower here than elsewhere."""
    parts = []
    if "throughput" in results:
        parts += [recipe_table(results["throughput"]), f"Made by {made_by(results['throughput'])}"]
    if "transforms" in results:
        parts.append(verdict(results["transforms"]))
    if "loader" in results:
        parts.append(loader_sentence(results["loader"]))
    if "decode" in results:
        parts.append(report_speed.decoding_sentence(results["decode"]))
    if "overhead" in results:
        parts.append(overhead_sentence(results["overhead"]))
    return "\n\n".join(parts)


def recipe_table(result: Mapping[str, Any]) -> str:
    """Return times albumentations' speed per recipe, and albumentations' own microseconds."""
    head = ["times albumentations' speed, one core", *COLUMNS, "albumentations, us per image"]
    rows = []
    for name, candidates in result["recipes"].items():
        cells = [_best(candidates, column) for column in COLUMNS]
        base = next(row for row in candidates if row["name"] == "albumentations")
        rows.append([TITLES.get(name, name), *cells, f"{base['microseconds_per_image']:,.0f}"])
    return table(head, rows)


def _best(candidates: Rows, column: str) -> str:
    prefixes = COLUMNS[column]
    found = [row for row in candidates if any(_is(row["name"], prefix) for prefix in prefixes)]
    speeds = [row["times_albumentations"] for row in found if "failed" not in row]
    return f"{max(speeds):.2f}" if speeds else "fails" if found else ""


def _is(name: str, prefix: str) -> bool:
    return name == prefix if prefix == "augsynth" else name.startswith(prefix)


def verdict(result: Mapping[str, Any]) -> str:
    """Say of how many single transforms ours is the faster one, and name those where it is slowest."""
    ratios = {name: entry["times_best_peer"] for name, entry in result["transforms"].items() if entry["best_peer"]}
    slower = sorted((name for name in ratios if ratios[name] < 1), key=lambda name: ratios[name])
    alone = len(result["no_peer"])
    text = (
        f"Single transforms ({result['size']} px, uint8 to uint8, {result['batch']} images a call, exact colour): "
        f"{len(ratios) - len(slower)} of {len(ratios)} are at least as fast as the best peer that draws per sample "
        f"(median ratio {statistics.median(ratios.values()):.2f}); {alone} have no peer."
    )
    if slower:
        worst = ", ".join(f"`{name}` {_loss(result['transforms'][name])}" for name in slower[:MOST_NAMED])
        text += f" Slowest beside it: {worst}."
    return text + " All of them: [benchmarks/results](benchmarks/results/README.md)."


def _loss(entry: Mapping[str, Any]) -> str:
    """Say how slow it is, and how fast beside albumentations' filter where the best peer does not filter."""
    filtered = [row["times"] for row in entry["rows"] if row["name"] == "albumentations, area" and "failed" not in row]
    return f"{entry['times_best_peer']:.2f}" + (
        f" ({filtered[0]:.2f} beside a peer that filters too)" if filtered else ""
    )


def loader_sentence(result: Mapping[str, Any]) -> str:
    """Say what is left of it through a DataLoader."""
    parts = []
    for workers, rows in result["workers"].items():
        speed = {row["name"]: row for row in rows}
        pair = [f"{speed[f'augsynth {color}']['times_albumentations']:.2f} ({color})" for color in ("linear", "exact")]
        parts.append(f"{' and '.join(pair)} times with {workers}")
    return f"Through a DataLoader, ImageNet recipe, batches of {result['batch']}, by workers: {'; '.join(parts)}."


def overhead_sentence(result: Mapping[str, Any]) -> str:
    """Say what the plugin itself costs."""
    parts = []
    for side, rows in result["wrapped"].items():
        empty, closed = (100 * (rows[name]["median"] - 1) for name in ("empty pipeline", "all gated out"))
        parts.append(f"{empty:+.0f} % (all transforms gated out: {closed:+.0f} %) at {side} px")
    seconds = {name: row["median"] for name, row in result["seconds"].items()}
    whose = ("augsynth", "torchvision", "albumentations")
    first = ", ".join(f"{seconds[f'first batch, {name}']:.1f} s with {name}" for name in whose)
    more = seconds["import augsynth"] - seconds["import torch"]
    extra = f"{more:.2f} s" if more >= LEAST_SECONDS else "nothing measurable"
    return (
        f"An empty pipeline around a dataset of tensors in memory: {'; '.join(parts)}. From the start of Python to the "
        f"first augmented batch: {first} (`import torch` alone: {seconds['import torch']:.1f} s; augsynth adds "
        f"{extra})."
    )


def details(results: Mapping[str, Any]) -> str:
    """Return benchmarks/results/README.md."""
    parts = [
        "# Results",
        f"Made from the JSON files beside this one by `{COMMAND}`; how it is measured stands at the head of each "
        "script. Figures are medians; quartiles are in brackets here, or in the JSON files.",
    ]
    parts += [part for name, _, text, made in sections(results) if name not in ELSEWHERE_SHOWN for part in (text, made)]
    return "\n\n".join(parts) + "\n"


# On the page only: these tables stand in README.md, or on the performance page.
ELSEWHERE_SHOWN = ("floor", "tried", "accuracy", "imbalance", "budgets", "cgan")


def sections(results: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return what there is to show: file, title, Markdown, and where it comes from."""
    made: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
        ("throughput", "Recipes", _recipes),
        ("transforms", "Single transforms", _transforms),
        ("curves", "How the cost grows", _curves),
        ("loader", "Through a DataLoader", _loader),
        ("decode", "From files", report_speed.decoding),
        ("overhead", "What the plugin costs", _overhead),
        ("floor", "Where the time goes", report_speed.floors),
        ("tried", "What was tried", report_speed.other_ways),
        ("gpu", "GPU", _gpu),
        ("text", "Speed of texts", report_text.details_of_text),
        ("accuracy-images", "Accuracy on images", report_training.details_of_images),
        ("accuracy", "Accuracy on texts", report_text.accuracy_table),
        ("imbalance", "Rare classes", report_generator.rare_classes),
        ("budgets", "Generators by budget", report_training.budgets),
        ("cgan", "A small GAN by the minute", report_generator.learned_alone),
    )
    return [
        (name, title, section(results[name]), made_by(results[name]))
        for name, title, section in made
        if name in results
    ]


def _recipes(result: Mapping[str, Any]) -> str:
    parts = ["## Recipes\n\n![Speed of each recipe in each library](throughput.png)"]
    parts.append(
        "Beside each speed: mean and standard deviation of the normalized output, less those of torchvision's "
        "tensors; boxes that are left per image and their mean share of it; share of the mask's pixels whose class "
        "would have to change to give torchvision's frequencies. Draws differ, so none of these is 0."
    )
    head = ["", "us per image", "times albumentations", "mean, std", "targets"]
    for name, rows in result["recipes"].items():
        parts.append(f"### {TITLES.get(name, name)}\n\n{table(head, [_recipe_row(row) for row in rows])}")
    return "\n\n".join(parts)


def _recipe_row(row: Mapping[str, Any]) -> list[str]:
    if "failed" in row:
        return [row["name"], "", "", "", f"fails: {row['failed']}"]
    times = f"{row['times_albumentations']:.2f} ({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})"
    targets = [f"{row[key]:g} {word}" for key, word in WORDS.items() if key in row]
    parity = f"{row['mean_difference']:+.3f}, {row['std_difference']:+.3f}"
    return [row["name"], _microseconds(row), times, parity, ", ".join(targets)]


WORDS = {"boxes_per_image": "boxes", "box_area": "of the image", "classes_difference": "of the pixels"}


def _microseconds(row: Mapping[str, Any]) -> str:
    low, high = row["microseconds_quartiles"]
    return f"{row['microseconds_per_image']:,.1f} ({low:,.1f} to {high:,.1f}){_elsewhere(row)}"


def _elsewhere(row: Mapping[str, Any]) -> str:
    return f", {row['elsewhere']:.0%} in other threads" if row["elsewhere"] > ELSEWHERE else ""


def _transforms(result: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(row["name"] for entry in result["transforms"].values() for row in entry["rows"]))
    rows = []
    for name, entry in result["transforms"].items():
        found = {row["name"]: _transform_cell(row) for row in entry["rows"]}
        best = f"{entry['times_best_peer']:.2f}" if entry["best_peer"] else ""
        rows.append(
            [f"`{name}`", best, *(found.get(candidate, "") for candidate in names), entry["difference"], entry["note"]]
        )
    lonely = "\n".join(f"* `{name}`: {why}" for name, why in result["no_peer"].items())
    setting = f"{result['size']} px, {result['batch']} images a call, exact colour."
    heading = "## Single transforms\n\n![How many times as fast each transform is](transforms.png)"
    head = ["", "times the best peer", *names, "difference of", "note"]
    return "\n\n".join([heading, f"{setting} {HOW}", table(head, rows), f"Not compared:\n\n{lonely}"])


HOW = (
    "Cells: how many times as fast augsynth is as this candidate; microseconds per image; difference in 1/255. "
    "uint8 in and out, but kornia gives floats, and Normalize gives them everywhere. Difference of pixels: the largest "
    "and the mean from the first of torchvision, albumentations, kornia that has it, parameters pinned; of moments: "
    "mean and standard deviation over several draws, less the same candidate's. The best peer draws per sample."
)


def _transform_cell(row: Mapping[str, Any]) -> str:
    if "failed" in row:
        return f"fails: {row['failed']}"
    times = "" if row["name"] == "augsynth" else f"{row['times']:.2f}; "
    gap = row["difference"]
    text = gap if isinstance(gap, str) else f"{gap[0]:g}, {gap[1]:g}" if gap else "not comparable"
    return f"{times}{row['microseconds_per_image']:,.0f} us{_elsewhere(row)}; {text}"


def _curves(result: Mapping[str, Any]) -> str:
    parts = ["## Cost curves\n\n![Microseconds per image over batch, side and number of transforms](curves.png)"]
    for name, curve in result["curves"].items():
        names = list(dict.fromkeys(key for point in curve["points"] for key in point["rows"]))
        rows = [
            [str(point["value"]), *(_cell(point["rows"].get(candidate, {})) for candidate in names)]
            for point in curve["points"]
        ]
        parts.append(f"### {name}\n\nMicroseconds per image.\n\n{table([curve['varied'], *names], rows)}")
    return "\n\n".join(parts)


def _cell(row: Mapping[str, Any]) -> str:
    return f"{row['microseconds_per_image']:,.1f}" if "microseconds_per_image" in row else row.get("failed", "")


def _overhead(result: Mapping[str, Any]) -> str:
    head = ["times the bare loader's processor time", *(f"{side} px" for side in result["wrapped"])]
    names = next(iter(result["wrapped"].values()))
    rows = [[name, *(_spread(of[name]) for of in result["wrapped"].values())] for name in names]
    seconds = [[name, _spread(row)] for name, row in result["seconds"].items()]
    return f"## Overhead\n\n{table(head, rows)}\n\n{table(['process', 'seconds'], seconds)}"


def _spread(row: Mapping[str, float]) -> str:
    return f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _loader(result: Mapping[str, Any]) -> str:
    parts = [f"## DataLoader\n\n{result['recipe']}; batches of {result['batch']}, in-memory images, default collate."]
    for workers, rows in result["workers"].items():
        cells = [
            [
                row["name"],
                f"{row['images_per_second']:,}",
                "{:.2f} ({:.2f} to {:.2f})".format(row["times_albumentations"], *row["quartiles"]),
            ]
            for row in rows
        ]
        parts.append(f"### {workers} workers\n\n{table(['', 'images per second', 'times albumentations'], cells)}")
    return "\n\n".join(parts)


def _gpu(result: Mapping[str, Any]) -> str:
    parts = [f"## GPU\n\n{result['device']}; a copy moves {result['copy_bytes_per_second'] / 1e9:,.0f} GB/s."]
    head = ["", "images per second", "wall us", "device us", "roofline, %", "of crops, %", "kernels", "waits"]
    keys = ("wall_us", "device_us", "roofline_percent", "roofline_of_crops_percent", "kernels", "waits")
    for case in result["cases"]:
        rows = [
            [row["name"], f"{row['images_per_second']:,}", *(f"{row[key]:g}" for key in keys)]
            if "failed" not in row
            else [row["name"], f"fails: {row['failed']}", *[""] * 6]
            for row in case["rows"]
        ]
        parts.append(f"### {case['case']}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def with_block(readme: str, block: str) -> str:
    """Return the README with the part between the markers replaced. Raises ValueError where they are not there once."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"README.md needs {BEGIN} and {END}, once each, around its speed table")
    return _between(readme, BEGIN, END, block)


def with_blocks(readme: str, results: Mapping[str, Any]) -> str:
    """Return the README with all its parts that come from results. Raises ValueError for one without its markers."""
    readme = with_block(readme, speed_block(results))
    for module in (report_text, report_generator, report_training):
        readme = _filled(readme, module.MARKS, module.blocks(results), "README.md")
    return readme


def with_floors(page: str, results: Mapping[str, Any]) -> str:
    """Return the performance page with its tables. Raises ValueError for one without its markers."""
    return _filled(page, report_speed.MARKS, report_speed.blocks(results), "benchmarks/README.md")


def _filled(text: str, marks: Mapping[str, tuple[str, str]], blocks: Mapping[str, str], where: str) -> str:
    for name, block in blocks.items():
        begin, end = marks[name]
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{where} needs {begin} and {end}, once each")
        text = _between(text, begin, end, block)
    return text


def _between(text: str, begin: str, end: str, block: str) -> str:
    return re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n\n{block}\n\n{end}", text, flags=re.DOTALL)


def main() -> None:
    """Write all of it from the result files that there are."""
    import plots

    results = load()
    readme = ROOT / "README.md"
    readme.write_text(with_blocks(readme.read_text(), results))
    (RESULTS / "README.md").write_text(details(results))
    (RESULTS / "index.html").write_text(report_page.page(results, sections(results)))
    page = ROOT / "benchmarks" / "README.md"
    page.write_text(with_floors(page.read_text(), results))
    for name, draw in (("throughput", plots.recipes), ("transforms", plots.transforms), ("curves", plots.curves)):
        if name in results:
            draw(results[name], RESULTS / f"{name}.png")
    print(f"README.md and {RESULTS.relative_to(ROOT)} from {', '.join(results)}")


if __name__ == "__main__":
    main()
