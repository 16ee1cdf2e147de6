"""The configuration that ships with augsynth: `pkg://augsynth.conf` for Hydra."""
