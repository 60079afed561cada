"""`python -m ssl_ecg.report`."""

from ssl_ecg.report.command import main

if __name__ == "__main__":
    main()
