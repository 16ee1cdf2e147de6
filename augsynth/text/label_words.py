"""The words by which the classes of a training set differ, so that augmentation can leave them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

import numpy as np

from augsynth.text.document import Document

LEAST = 5  # texts a word must stand in: below, the statistic is no chi-squared


def label_words(texts: Iterable[str], labels: Iterable[Hashable], p_value: float = 0.01) -> tuple[str, ...]:
    """Return the lower-case words whose presence depends on the class, those first that depend on it most.

    A chi-squared test of each word that stands in at least five texts, against p_value divided by the number of words
    tested (Bonferroni). Raises ValueError where there are not as many labels as texts, or fewer than two classes.
    """
    rows = [{document.lower(*span) for span in document.words} for document in map(Document, texts)]
    classes = list(labels)
    names = sorted(set(map(str, classes)))
    if len(classes) != len(rows) or len(names) < 2:
        raise ValueError(f"label_words: {len(rows)} texts and {len(classes)} labels of {len(names)} classes")
    where = {name: i for i, name in enumerate(names)}
    totals = np.bincount([where[str(label)] for label in classes], minlength=len(names)).astype(np.float64)
    counts: dict[str, Counter[int]] = {}
    for words, label in zip(rows, classes, strict=True):
        for word in words:
            counts.setdefault(word, Counter())[where[str(label)]] += 1
    tested = sorted(word for word, count in counts.items() if count.total() >= LEAST)
    if not tested:
        return ()
    present = np.array([[counts[word][i] for i in range(len(names))] for word in tested], np.float64)
    statistics = _chi_squared(present, totals)
    bound = _bound(len(names) - 1, p_value / len(tested))
    order = np.argsort(-statistics, kind="stable")
    return tuple(tested[i] for i in order if statistics[i] > bound)


def _chi_squared(present: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the statistic of each word's table of presence (W, K) against classes of `totals` (K,) texts."""
    share = present.sum(1, keepdims=True) / totals.sum()
    expected = share * totals
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (present - expected) ** 2 / expected + (present - expected) ** 2 / (totals - expected)
    return np.asarray(np.nan_to_num(statistic).sum(1))


def _bound(degrees: int, p_value: float) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(p_value, degrees))
