"""`python -m ssl_ecg.runs`."""

from ssl_ecg.runs import main

if __name__ == "__main__":
    main()
