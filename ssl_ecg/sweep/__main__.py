"""`python -m ssl_ecg.sweep`."""

from ssl_ecg.sweep import main

if __name__ == "__main__":
    main()
