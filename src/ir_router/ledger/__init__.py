"""The ledger: a record of every side effect, in one DynamoDB table."""
