"""The domain of cases. Pure: imports no other package of ir-router."""
