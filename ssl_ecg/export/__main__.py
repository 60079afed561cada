"""`python -m ssl_ecg.export`."""

from ssl_ecg.export import main

if __name__ == "__main__":
    main()
