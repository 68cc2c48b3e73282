variable "name_prefix" {
  type        = string
  description = "Prefix of all resource names. It must be the prefix of the hub, because the workflow builds the name of the role from its own prefix."
  default     = "security-incident"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 3 to 28 lower-case letters, digits or hyphens. It must begin with a letter and end with a letter or digit."
  }
}

variable "workflow_role_arn" {
  type        = string
  description = "ARN of the role of the hub's function -workflow. It is the only principal that can assume the containment role."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\\w+=,.@/-]+$", var.workflow_role_arn))
    error_message = "workflow_role_arn must be the full ARN of an IAM role, for example arn:aws:iam::123456789012:role/security-incident-workflow."
  }
}

variable "organization_id" {
  type        = string
  description = "Id of the AWS organisation. If set, the trust policy also requires that the hub belongs to this organisation. If null, it does not."
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be the id of an organisation, for example o-a1b2c3d4e5 (aws organizations describe-organization)."
  }
}

variable "containment_mode" {
  type        = string
  description = "enforce gives the role the permissions to attach the deny policy and to delete keys. With dry_run and off, the role can read and restore only."
  default     = "dry_run"

  validation {
    condition     = contains(["dry_run", "enforce", "off"], var.containment_mode)
    error_message = "containment_mode must be dry_run, enforce or off."
  }
}

variable "protected_principals" {
  type        = list(string)
  description = "ARNs of the users and roles of this account that the role can never change, for example break-glass roles. `*` stands for any characters and protects the principals that exist when Terraform plans."
  default     = []

  validation {
    condition     = alltrue([for arn in var.protected_principals : can(regex("^arn:aws:iam::([0-9]{12}|\\*):(user|role)/.+$", arn))])
    error_message = "Each of protected_principals must be the full ARN of an IAM user or role, for example arn:aws:iam::123456789012:role/break-glass-*."
  }

  # Managed policies contain the ARNs: 6,144 characters each, and at most 10 for a role (IAM quotas).
  validation {
    condition     = length(var.protected_principals) <= 200 && alltrue([for arn in var.protected_principals : length(arn) <= 200])
    error_message = "protected_principals must have at most 200 ARNs of at most 200 characters each. Use `*` to shorten an ARN or to protect several principals."
  }
}

variable "detections_bus_arn" {
  type        = string
  description = "ARN of the bus of the hub to which the rules of this account forward events (modules/region). If null, the module creates no role for them."
  default     = null

  validation {
    condition     = var.detections_bus_arn == null || can(regex("^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[\\w.-]+$", var.detections_bus_arn))
    error_message = "detections_bus_arn must be the ARN of an event bus, for example arn:aws:events:eu-west-1:123456789012:event-bus/security-incident-detections."
  }
}

variable "watched_regions" {
  type        = set(string)
  description = "The regions in which modules/region forwards events. The hub verifies the rules of these regions. Only with `detections_bus_arn`."
  default     = ["us-east-1"]

  # The value of a tag has at most 256 characters.
  validation {
    condition     = length(var.watched_regions) > 0 && alltrue([for region in var.watched_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", region))]) && length(join(" ", var.watched_regions)) <= 256
    error_message = "watched_regions must be names of regions, for example us-east-1, of at most 256 characters in all."
  }
}

variable "own_roles" {
  type        = list(string)
  description = "Names of further roles of ir-router in this account. The containment role can never change them, nor itself."
  default     = []

  validation {
    condition     = alltrue([for name in var.own_roles : can(regex("^[\\w+=,.@-]{1,64}$", name))])
    error_message = "Each of own_roles must be the name of an IAM role without its path."
  }
}
