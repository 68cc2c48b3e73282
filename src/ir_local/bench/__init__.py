"""`make bench`: what each operation costs, counted where requests leave, and how long the answers take."""
