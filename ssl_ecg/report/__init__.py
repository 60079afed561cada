"""What people look at: tables in the terminal, JSON and CSV files, figures.

Tables need no matplotlib and figures no rich: import the one you use.
"""
