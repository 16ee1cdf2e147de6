"""Text: what a word is, edits on the original string, protection, the lexicon, models."""
