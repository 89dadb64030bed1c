"""``python -m streamer`` is the console script."""

from streamer.cli import main

if __name__ == "__main__":
    main()
