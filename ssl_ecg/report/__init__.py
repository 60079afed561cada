"""What people look at: tables in the terminal, JSON and CSV files, figures.

`report.tables` needs no matplotlib and `report.figures` no rich: import the one you use.
"""
