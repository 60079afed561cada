"""`python -m ssl_ecg.checkpoints`."""

from ssl_ecg.checkpoints import main

if __name__ == "__main__":
    main()
