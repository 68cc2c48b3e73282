# One row for each side effect. The key of a row determines which roles can access it: see ledger_permissions in
# roles.tf.

locals {
  index_name = "index"
}

resource "aws_dynamodb_table" "ledger" {
  name         = local.names.table
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "PK"
  range_key    = "SK"

  attribute {
    name = "PK"
    type = "S"
  }

  attribute {
    name = "SK"
    type = "S"
  }

  attribute {
    name = "index_pk"
    type = "S"
  }

  attribute {
    name = "index_sk"
    type = "S"
  }

  # The index is sparse: only rows of cases and open approvals have its keys. The poller reads every row of the index
  # each minute, so the index contains only the attributes that the poller compares.
  global_secondary_index {
    name            = local.index_name
    hash_key        = "index_pk"
    range_key       = "index_sk"
    projection_type = "INCLUDE"
    non_key_attributes = [
      "channel_id",
      "closed",
      "due_at",
      "fingerprint",
      "hinted_at",
      "hints",
      "lease_until",
      "next_try",
      "row_digest",
      "severity",
      "synced_hints",
    ]
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key_arn
  }
}
