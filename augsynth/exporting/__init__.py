"""Generated samples as files, each of which says what made it."""

from augsynth.exporting.export import Exported, export
from augsynth.exporting.png import provenance_of

__all__ = ["Exported", "export", "provenance_of"]
