"""`python -m ssl_ecg.delineate`."""

from ssl_ecg.delineate import main

if __name__ == "__main__":
    main()
