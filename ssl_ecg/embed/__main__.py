"""`python -m ssl_ecg.embed`."""

from ssl_ecg.embed import main

if __name__ == "__main__":
    main()
