"""`python -m ssl_ecg.pretrain`."""

from ssl_ecg.pretrain import main

if __name__ == "__main__":
    main()
