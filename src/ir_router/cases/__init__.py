"""The domain of cases: pure, imports nothing of ours."""
