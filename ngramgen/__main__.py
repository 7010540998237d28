"""``python -m ngramgen``: the command line where the script is not on the path."""

from ngramgen.cli import main

if __name__ == "__main__":
    main()
