"""Does it help? Test accuracy of each way to train, beside plain training, at equal optimiser steps and with seeds.

    python benchmarks/accuracy.py images [RUN ...] [--data DIR] [--arms NAME ...] [--seeds N] [--json FILE] [--quick]
    python benchmarks/accuracy.py text [RUN ...] [--data DIR] [--seeds N] [--json FILE] [--quick]

images: Fashion-MNIST and CIFAR-10 with few labels and all; and whether fast ways are equivalent to exact ones.
text: TREC, SST-2, PC and BANKING77. Rare classes are a question of `benchmarks/generator.py imbalance`.
"""

from __future__ import annotations

import argparse

import accuracy_images
import accuracy_text


def main(arguments: list[str] | None = None) -> None:
    """Run the subcommand that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (accuracy_images, accuracy_text):
        module.add_command(commands)
    args = parser.parse_args(arguments)
    args.run(args)


if __name__ == "__main__":
    main()
