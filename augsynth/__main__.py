"""`python -m augsynth` is the command `augsynth`."""

from augsynth.cli import main

if __name__ == "__main__":
    main()
