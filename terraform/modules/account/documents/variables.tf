# The module that uses this one validates the values. `account` may be a placeholder, for example $${AWS::AccountId}.

variable "name_prefix" {
  type        = string
  description = "Prefix of all resource names."
}

variable "account" {
  type        = string
  description = "Id of the account."
}

variable "workflow_role_arn" {
  type        = string
  description = "ARN of the role of the hub's function -workflow."
}

variable "organization_id" {
  type        = string
  description = "Id of the AWS organisation, or null."
}

variable "containment_mode" {
  type        = string
  description = "dry_run, enforce or off."
}

variable "own_roles" {
  type        = list(string)
  description = "Names of all roles of ir-router in the account."
}

variable "detections_bus_arn" {
  type        = string
  description = "ARN of the bus of the hub, or null."
}

variable "watched_regions" {
  type        = set(string)
  description = "The regions in which rules forward events."
}
