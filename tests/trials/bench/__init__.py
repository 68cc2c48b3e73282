"""`make bench`: count the requests of each operation where they leave, and measure times and memory."""
