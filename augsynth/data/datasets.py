"""The user's own images from disk: one folder per class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from augsynth.errors import SampleError
from augsynth.rng import Rng

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_TEST_FOLDERS = ("test", "val", "valid")


class FolderDataset(Dataset[Any]):
    """Images in one folder per class; items are `(RGB PIL image, class number)`, upright by their EXIF orientation.

    root: holds the class folders, or `train/` and `test/` (or `val/`) folders that hold them.
    split: "train", "test", or "all" for both.
    test_share: without `train/` and `test/`, the share of each class's images in the test split, above 0 and below 1;
    which ones is decided by seed and class name, so that both splits fit together.
    Attributes: classes (sorted names), class_to_idx, samples (path, class number), targets.
    Raises: ValueError naming the folder that does not fit.
    """

    def __init__(self, root: str | Path, split: str = "train", *, test_share: float = 0.2, seed: int = 0) -> None:
        self.root, self.split, self.seed = Path(root).expanduser(), split, seed
        if split not in ("train", "test", "all"):
            raise ValueError(f"split={split!r} must be 'train', 'test' or 'all'")
        if not 0 < test_share < 1:
            raise ValueError(f"test_share={test_share} must be above 0 and below 1")
        if not self.root.is_dir():
            raise ValueError(f"root={str(root)!r} is not a folder; give one that holds a folder of images per class")
        if _has_splits(self.root):
            found = self._from_folders()
        else:
            found = _take_share(_find_classes(self.root), self.root, split, test_share, seed)
        self.classes = sorted(found)
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.samples = [(str(path), self.class_to_idx[name]) for name in self.classes for path in found[name]]
        self.targets = [target for _, target in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image, int]:
        path, target = self.samples[index]
        return read_image(path), target

    def __repr__(self) -> str:
        return f"FolderDataset({str(self.root)!r}, {self.split!r}): {len(self)} images, {len(self.classes)} classes"

    def _from_folders(self) -> dict[str, list[Path]]:
        train = self.root / "train"
        test = next((self.root / name for name in _TEST_FOLDERS if (self.root / name).is_dir()), None)
        if test is None:
            raise ValueError(
                f"{train} stands alone: add {self.root / 'test'} with the same classes, "
                f"or give root={str(train)!r} to split it by a share"
            )
        training, testing = _find_classes(train), _find_classes(test)
        if training.keys() != testing.keys():
            differences = [
                f"{folder} alone has {_listed(sorted(mine.keys() - others.keys()))}"
                for folder, mine, others in ((train, training, testing), (test, testing, training))
                if mine.keys() - others.keys()
            ]
            raise ValueError(f"train and test must have the same classes, but {' and '.join(differences)}")
        if self.split == "all":
            return {name: training[name] + testing[name] for name in training}
        return training if self.split == "train" else testing


def read_image(path: str | Path) -> Image:
    """Read an image file as 8-bit RGB, upright; transparency over black, 16-bit grey scaled to 8.

    Raises: SampleError naming the file where it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright)
    except Exception as error:  # PIL raises a dozen kinds, from SyntaxError to struct.error
        raise SampleError(f"the image file {path} cannot be read: {type(error).__name__}: {error}") from error


def _to_rgb(image: Image) -> Image:
    from PIL import Image as PILImage

    if image.mode == "F":
        raise ValueError("it holds floats of unknown range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("it holds integers outside 0 to 65535; save it with 8 or 16 bits")
        return PILImage.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        black = PILImage.new("RGBA", image.size, (0, 0, 0, 255))
        return PILImage.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _has_splits(root: Path) -> bool:
    """Tell `train/` with class folders in it from a class that happens to be called train."""
    train = root / "train"
    return train.is_dir() and any(_visible_folders(train)) and not any(_images(train))


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file()]


def _find_classes(root: Path) -> dict[str, list[Path]]:
    """Return the image files under each class folder, sorted; at least two classes, none of them empty."""
    folders = _visible_folders(root)
    if not folders:
        loose = len(_images(root))
        seen = f", but {loose} images directly in it" if loose else " and nothing that looks like images"
        raise ValueError(f"{root} has no class folders{seen}; put the images of each class in a folder of its own")
    if len(folders) == 1:
        raise ValueError(f"{root} has one class folder only ({folders[0].name}); classification needs two or more")
    files = {folder.name: _visible_files(folder) for folder in folders}
    found = {name: [path for path in paths if path.suffix.lower() in EXTENSIONS] for name, paths in files.items()}
    empty = [f"{name} ({_kinds(files[name])})" for name, paths in found.items() if not paths]
    if empty:
        known = " ".join(sorted(EXTENSIONS))
        raise ValueError(f"{root}: no images in class folder {_listed(empty)}; an image ends in one of {known}")
    return found


def _visible_files(folder: Path) -> list[Path]:
    """List the files below a folder, without hidden ones such as the `._name.jpg` that macOS writes into archives."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    shown = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return sorted(shown, key=Path.as_posix)


def _kinds(paths: list[Path]) -> str:
    counts = Counter(path.suffix.lower() or "without extension" for path in paths)
    return "ignored: " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) if counts else "empty"


def _take_share(
    found: dict[str, list[Path]], root: Path, split: str, test_share: float, seed: int
) -> dict[str, list[Path]]:
    if split == "all":
        return found
    few = [f"{name} ({len(paths)})" for name, paths in found.items() if len(paths) < 2]
    if few:
        raise ValueError(f"{root}: a train and a test split need two images per class or more, but {', '.join(few)}")
    taken = {}
    for name, paths in found.items():
        order = Rng.of(seed, 0).permutation(f"split.{name}", len(paths))[0]
        tests = min(max(round(test_share * len(paths)), 1), len(paths) - 1)
        chosen = order[:tests] if split == "test" else order[tests:]
        taken[name] = [paths[i] for i in sorted(chosen)]
    return taken


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
