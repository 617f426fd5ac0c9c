"""`python -m phonemes` is the command `phonemes`."""

from phonemes.commands.main import main

if __name__ == "__main__":
    main()
