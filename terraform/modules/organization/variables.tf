variable "name_prefix" {
  type        = string
  description = "Prefix of all resource names. It must be the prefix of the hub."
  default     = "security-incident"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 3 to 28 lower-case letters, digits or hyphens. It must begin with a letter and end with a letter or digit."
  }
}

variable "organization_id" {
  type        = string
  description = "Id of the AWS organisation. The trust policy requires that the hub belongs to it."

  validation {
    condition     = can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be the id of an organisation, for example o-a1b2c3d4e5 (aws organizations describe-organization)."
  }
}

variable "workflow_role_arn" {
  type        = string
  description = "ARN of the role of the hub's function -workflow: the hub's output `workflow_role_arn`."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\\w+=,.@/-]+$", var.workflow_role_arn))
    error_message = "workflow_role_arn must be the full ARN of an IAM role, for example arn:aws:iam::123456789012:role/security-incident-workflow."
  }
}

variable "detections_bus_arn" {
  type        = string
  description = "ARN of the bus of the hub: its output `detections_bus_arn`."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[\\w.-]+$", var.detections_bus_arn))
    error_message = "detections_bus_arn must be the ARN of an event bus, for example arn:aws:events:eu-west-1:123456789012:event-bus/security-incident-detections."
  }
}

variable "member_ous" {
  type        = map(string)
  description = "The organisational units whose accounts become members, and the containment_mode of each: dry_run, enforce or off. A unit includes the units below it, so do not list these too."

  validation {
    condition     = length(var.member_ous) > 0 && alltrue([for unit in keys(var.member_ous) : can(regex("^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$", unit))])
    error_message = "The keys of member_ous must be ids of organisational units, for example ou-ab12-cdef3456, or of the root, for example r-ab12."
  }

  validation {
    condition     = alltrue([for mode in values(var.member_ous) : contains(["dry_run", "enforce", "off"], mode)])
    error_message = "The values of member_ous must be dry_run, enforce or off."
  }
}

variable "watched_regions" {
  type        = set(string)
  description = "The regions in which the members forward events. us-east-1 must be one of them, because events of IAM appear there only."
  default     = ["us-east-1"]

  # The value of a tag has at most 256 characters.
  validation {
    condition     = contains(var.watched_regions, "us-east-1") && alltrue([for region in var.watched_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", region))]) && length(join(" ", var.watched_regions)) <= 256
    error_message = "watched_regions must be names of regions with us-east-1 among them, of at most 256 characters in all."
  }
}

variable "protected_principals" {
  type        = list(string)
  description = "The users and roles that the containment role of each member can never change, with `*` as the account, for example arn:aws:iam::*:role/break-glass. A name cannot contain `*`."
  default     = []

  validation {
    condition     = length(var.protected_principals) <= 200 && alltrue([for arn in var.protected_principals : length(arn) <= 200 && can(regex("^arn:aws[a-z-]*:iam::\\*:(user|role)/[\\w+=,.@/-]+$", arn))])
    error_message = "protected_principals must have at most 200 ARNs of at most 200 characters each, with * as the account and no other *, for example arn:aws:iam::*:role/break-glass."
  }
}

variable "severities" {
  type        = set(string)
  description = "The severities that members forward if `detections` is null."
  default     = ["HIGH", "CRITICAL"]

  validation {
    condition     = length(var.severities) > 0 && alltrue([for severity in var.severities : contains(["LOW", "MEDIUM", "HIGH", "CRITICAL"], severity)])
    error_message = "Each of severities must be LOW, MEDIUM, HIGH or CRITICAL."
  }
}

variable "detections" {
  type = map(object({
    title   = string
    pattern = string
    state   = optional(string, "ENABLED")
  }))
  description = "The detections to forward, by id: title, event pattern as JSON, and state of the rule. If null, members forward those of ir-router's own table (detections.json) that have one of `severities`, or that undo a containment."
  default     = null

  validation {
    condition = var.detections == null || alltrue([for id, detection in coalesce(var.detections, {}) :
      can(regex("^[a-z][a-z0-9_]{1,39}$", id)) && can(jsondecode(detection.pattern))
      && contains(["ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"], detection.state)
    ])
    error_message = "Each of detections requires an id of 2 to 40 lower-case letters, digits or _, a pattern in JSON, and the state ENABLED or ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS."
  }
}

variable "call_as" {
  type        = string
  description = "SELF for credentials of the management account, DELEGATED_ADMIN for those of a delegated administrator of StackSets."
  default     = "DELEGATED_ADMIN"

  validation {
    condition     = contains(["SELF", "DELEGATED_ADMIN"], var.call_as)
    error_message = "call_as must be SELF or DELEGATED_ADMIN."
  }
}
