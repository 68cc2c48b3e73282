# The detections: those of detections.json, without the disabled ones, and the deployment's own file.

locals {
  # `$${name_prefix}` in a pattern stands for the prefix of this deployment, as in workflow/detections.py.
  bundled_detections = {
    for detection in jsondecode(replace(
      file("${path.module}/../src/ir_router/workflow/detections.json"), "$${name_prefix}", var.name_prefix
    )).detections : detection.id => detection
  }
  # An unreadable file is refused by the validation of the variable.
  extra_detections = {
    for detection in try(jsondecode(file(var.extra_detections_path)).detections, []) : detection.id => detection
  }
  all_detections = merge(local.bundled_detections, local.extra_detections)

  detections = {
    for id, detection in local.all_detections : id => {
      title           = detection.title
      severity        = detection.severity
      pattern         = jsonencode(detection.pattern)
      global_service  = try(detection.global_service, false)
      read_only_calls = try(detection.read_only_calls, false)

      # As in workflow/detections.py. MEDIUM and LOW events go to the intake queue. An event that undoes a containment has the
      # severity HIGH then, so it does not wait there.
      direct = !contains(["LOW", "MEDIUM"], lookup(var.severity_overrides, id, detection.severity)) || try(detection.tampering, false)
    } if !contains(var.detections_disabled, id)
  }

  # A rule matches read-only API calls (List, Get, Describe) only in this state.
  detection_states = {
    for id, detection in local.detections : id => detection.read_only_calls ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED"
  }
  # The name of a rule has at most 64 characters.
  detection_rules = {
    for id in keys(local.detections) :
    id => "${var.name_prefix}${length("${var.name_prefix}-detect-${id}") <= 64 ? "-detect-" : "-"}${replace(id, "_", "-")}"
  }

  # Names for policies, which have limits: one pattern for most rules, and the names without `-detect-`.
  detection_rule_patterns = concat(
    ["${var.name_prefix}-detect-*"],
    [for name in values(local.detection_rules) : name if !startswith(name, "${var.name_prefix}-detect-")],
  )

  forwarded_detections = {
    for id, detection in local.detections : id => detection if detection.global_service && var.region != local.global_events_region
  }

  # A changed file changes the environment, so that running functions read the ledger again.
  extra_detections_digest = length(local.extra_detections) > 0 ? substr(sha256(jsonencode(local.extra_detections)), 0, 16) : ""
}

# The deployment's own detections are too large for environment variables. The functions read them from the ledger.
resource "aws_dynamodb_table_item" "extra_detections" {
  count = length(local.extra_detections) > 0 ? 1 : 0

  table_name = aws_dynamodb_table.ledger.name
  hash_key   = aws_dynamodb_table.ledger.hash_key
  range_key  = aws_dynamodb_table.ledger.range_key

  item = jsonencode({
    PK      = { S = "CONFIG#detections" }
    SK      = { S = "META" }
    entries = { S = jsonencode(values(local.extra_detections)) }
  })
}

# The id of a new key is known only after the apply, so that it cannot be part of a rule's pattern.
resource "aws_dynamodb_table_item" "kms_key" {
  table_name = aws_dynamodb_table.ledger.name
  hash_key   = aws_dynamodb_table.ledger.hash_key
  range_key  = aws_dynamodb_table.ledger.range_key

  item = jsonencode({
    PK  = { S = "CONFIG#kms_key" }
    SK  = { S = "META" }
    arn = { S = local.key_arn }

    # verify reads it here, because the environment of -operations is nearly full.
    workflow_arn = { S = local.workflow_key_arn }
  })
}
