"""`make proof`: what the project claims, tried on the real code: crashes, faults, load, hostile input, leaks."""
