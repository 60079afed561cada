"""`python -m ssl_ecg.few_label`."""

from ssl_ecg.few_label import main

if __name__ == "__main__":
    main()
