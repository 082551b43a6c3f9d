"""Folders and stores of photos by the thousand: what is begun can be killed and gone on with.

job      what is done of a folder, in parts on disk; merged into one table at the end
tables   rows → CSV, JSON Lines, Parquet
crops    every aligned face as a picture
"""
