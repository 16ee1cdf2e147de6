"""Lightning integration: a file per family of callbacks, all of them offered by `augsynth.lightning.callbacks`."""
