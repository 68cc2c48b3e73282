# The names, patterns and policies of the forwarding rules of a region. modules/region creates them; modules/organization
# puts the same ones into its template.

locals {
  partition   = split(":", var.bus_arn)[1]
  home_region = split(":", var.bus_arn)[3]

  bundled = {
    for detection in jsondecode(replace(
      file("${path.module}/../../../../src/ir_router/workflow/detections.json"), "$${name_prefix}", var.name_prefix
      )).detections : detection.id => {
      title   = detection.title
      pattern = jsonencode(detection.pattern)
      state   = try(detection.read_only_calls, false) ? "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" : "ENABLED"
    } if contains(var.severities, detection.severity) || try(detection.tampering, false)
  }
  detections = var.detections == null ? local.bundled : var.detections

  # The name of a rule has at most 64 characters.
  names = {
    for id in keys(local.detections) :
    id => "${var.name_prefix}${length("${var.name_prefix}-detect-${id}") <= 64 ? "-detect-" : "-"}${replace(id, "_", "-")}"
  }
  # One pattern for most rules, because the policy of a queue has a size limit.
  name_patterns = concat(
    ["${var.name_prefix}-detect-*"],
    [for name in values(local.names) : name if !startswith(name, "${var.name_prefix}-detect-")],
  )

  queue     = "${var.name_prefix}-forwarding-failures"
  queue_arn = "arn:${local.partition}:sqs:${var.region}:${var.account}:${local.queue}"
}

output "rules" {
  description = "The rules by the id of their detection: name, description, pattern as JSON, and state."
  value = {
    for id, detection in local.detections : id => {
      name        = local.names[id]
      description = "Forwards to ${local.home_region}: ${detection.title}"
      pattern     = detection.pattern
      state       = detection.state
    }
  }
}

output "queue" {
  description = "The queue of events that did not arrive: name, retention and policy."
  value = {
    name              = local.queue
    retention_seconds = 1209600

    policy = {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "UndeliveredEvents"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = local.queue_arn
          Condition = { ArnLike = { "aws:SourceArn" = [
            for name in local.name_patterns : "arn:${local.partition}:events:${var.region}:${var.account}:rule/${name}"
          ] } }
        },
        {
          Sid       = "OnlyOverTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = local.queue_arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    }
  }
}
