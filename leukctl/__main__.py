"""``python -m leukctl``, which is also how torchrun starts a command."""

from leukctl.cli import run

if __name__ == "__main__":
    run()
