"""`python -m ssl_ecg.probe`."""

from ssl_ecg.probe import main

if __name__ == "__main__":
    main()
