variable "name_prefix" {
  type        = string
  description = "Prefix of all resource names. It must be the prefix of the hub."
  default     = "security-incident"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 3 to 28 lower-case letters, digits or hyphens. It must begin with a letter and end with a letter or digit."
  }
}

variable "bus_arn" {
  type        = string
  description = "ARN of the event bus to which the rules forward: the hub's output `detections_bus_arn`."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[\\w.-]+$", var.bus_arn))
    error_message = "bus_arn must be the ARN of an event bus, for example arn:aws:events:eu-west-1:123456789012:event-bus/security-incident-detections."
  }
}

variable "role_arn" {
  type        = string
  description = "ARN of the role with which EventBridge puts events on that bus: the output `forwarding_role_arn` of modules/account."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\\w+=,.@/-]+$", var.role_arn))
    error_message = "role_arn must be the full ARN of an IAM role, for example arn:aws:iam::222222222222:role/security-incident-forwarding."
  }
}

variable "detections" {
  type = map(object({
    title   = string
    pattern = string
    state   = optional(string, "ENABLED")
  }))
  description = "The detections to forward, by id: title, event pattern as JSON, and state of the rule. If null, the module forwards those of ir-router's own table (detections.json) that have one of `severities`, or that undo a containment."
  default     = null

  validation {
    condition = var.detections == null || alltrue([for id, detection in coalesce(var.detections, {}) :
      can(regex("^[a-z][a-z0-9_]{1,39}$", id)) && can(jsondecode(detection.pattern))
      && contains(["ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"], detection.state)
    ])
    error_message = "Each of detections requires an id of 2 to 40 lower-case letters, digits or _, a pattern in JSON, and the state ENABLED or ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS."
  }
}

variable "severities" {
  type        = set(string)
  description = "The severities that the module forwards if `detections` is null."
  default     = ["HIGH", "CRITICAL"]

  validation {
    condition     = length(var.severities) > 0 && alltrue([for severity in var.severities : contains(["LOW", "MEDIUM", "HIGH", "CRITICAL"], severity)])
    error_message = "Each of severities must be LOW, MEDIUM, HIGH or CRITICAL."
  }
}
