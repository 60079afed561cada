"""`python -m ssl_ecg.anomaly`."""

from ssl_ecg.anomaly import main

if __name__ == "__main__":
    main()
