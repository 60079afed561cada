"""`python -m ssl_ecg.monitor`."""

from ssl_ecg.monitor import main

if __name__ == "__main__":
    main()
