# The module that uses this one validates the values. `account` and `region` may be placeholders.

variable "name_prefix" {
  type        = string
  description = "Prefix of all resource names."
}

variable "account" {
  type        = string
  description = "Id of the account."
}

variable "region" {
  type        = string
  description = "Name of the region."
}

variable "bus_arn" {
  type        = string
  description = "ARN of the bus of the hub."
}

variable "severities" {
  type        = set(string)
  description = "The severities to forward if detections is null."
}

variable "detections" {
  type        = map(object({ title = string, pattern = string, state = string }))
  description = "The detections to forward, or null for those of ir-router's own table."
}
