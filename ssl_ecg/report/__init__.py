"""What people look at: tables in the terminal, JSON and CSV files, figures, pages.

Tables need no matplotlib and figures no rich: import the one you use. `python -m ssl_ecg.report` writes a run's page.
"""
