"""Are generated samples of use? One subcommand per question.

    python benchmarks/generator.py imbalance FOLDER [--seeds N] [--workers N] [--json FILE] [--quick]

imbalance: Fashion-MNIST with rare classes, synthetic samples against losses, repetition and augmentation.
"""

from __future__ import annotations

import argparse

import imbalance


def main(arguments: list[str] | None = None) -> None:
    """Run the subcommand that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    imbalance.add_command(commands)
    args = parser.parse_args(arguments)
    args.run(args)


if __name__ == "__main__":
    main()
