"""`python -m ssl_ecg.cross_validate`."""

from ssl_ecg.cross_validate import main

if __name__ == "__main__":
    main()
