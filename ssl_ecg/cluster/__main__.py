"""`python -m ssl_ecg.cluster`."""

from ssl_ecg.cluster import main

if __name__ == "__main__":
    main()
