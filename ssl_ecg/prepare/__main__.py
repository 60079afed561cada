"""`python -m ssl_ecg.prepare`."""

from ssl_ecg.prepare import main

if __name__ == "__main__":
    main()
