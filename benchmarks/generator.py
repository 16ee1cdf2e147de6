"""Are generated samples of use? One subcommand per question.

    python benchmarks/generator.py imbalance [--data DIR] [--seeds N] [--workers N] [--json FILE] [--quick]
    python benchmarks/generator.py cgan [--data DIR] [--minutes N] [--seeds N] [--threads N] [--json FILE] [--quick]
    python benchmarks/generator.py budgets [--data DIR] [--seeds N] [--json FILE] [--quick]
    python benchmarks/generator.py cifar [--data DIR] [--minutes N] [--checkpoint FILE] [--json FILE] [--dry-run]

imbalance: Fashion-MNIST with rare classes, synthetic samples against losses, repetition and augmentation.
cgan: what a network learns from samples of a small GAN alone, by minutes of its training on a CPU.
budgets: every generator by the images of its training: accuracy, FD, coverage, agreement, speed, energy.
cifar: what a GAN is worth on CIFAR-10, on a GPU.
"""

from __future__ import annotations

import argparse

import budgets
import cgan
import cifar
import imbalance


def main(arguments: list[str] | None = None) -> None:
    """Run the subcommand that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (imbalance, cgan, budgets, cifar):
        module.add_command(commands)
    args = parser.parse_args(arguments)
    args.run(args)


if __name__ == "__main__":
    main()
