"""`python -m ssl_ecg.finetune`."""

from ssl_ecg.finetune import main

if __name__ == "__main__":
    main()
