"""Evidence: does augmentation, do synthetic samples help on this data? Is a generator good enough for it?"""

from augsynth.quality.evaluated import Evaluation
from augsynth.quality.evaluation import evaluate
from augsynth.quality.gate import Gate, Metric
from augsynth.quality.judge import Judge, judge
from augsynth.quality.models import SmallCNN
from augsynth.quality.protocol import ARMS, Arm, Protocol
from augsynth.quality.results import Comparison, Example, Run
from augsynth.quality.samples import Source
from augsynth.quality.statistics import Contrast, Estimate
from augsynth.quality.text import compare_texts
from augsynth.quality.text_models import WordCNN
from augsynth.quality.text_samples import TextSource
from augsynth.quality.utility import compare
from augsynth.verdict import GateError

__all__ = [
    "ARMS",
    "Arm",
    "Comparison",
    "Contrast",
    "Estimate",
    "Evaluation",
    "Example",
    "Gate",
    "GateError",
    "Judge",
    "Metric",
    "Protocol",
    "Run",
    "SmallCNN",
    "Source",
    "TextSource",
    "WordCNN",
    "compare",
    "compare_texts",
    "evaluate",
    "judge",
]
