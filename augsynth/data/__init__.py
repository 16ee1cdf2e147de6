"""Datasets and loaders: wrap the user's dataset, key its samples, read folders, mix in synthetic samples."""
